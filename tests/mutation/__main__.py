"""Read many mutated study files; counts studies, refusals, and what is neither."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from sweep.driver.build import check_choices
from sweep.errors import SpecError
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from tests.mutation.mutations import mutated

BOUND_S = 2.0
BATCH = 200
SHOWN = 10


class TooSlow(BaseException):
    """Raised where a file takes longer than it may."""


@dataclass
class Tally:
    """How files went; `wrong` says what was neither a study nor a SpecError, by seed."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)
    slowest_s: float = 0.0

    def add(self, other: Tally) -> None:
        """Enter another's counts."""
        self.counts += other.counts
        self.wrong |= other.wrong
        self.slowest_s = max(self.slowest_s, other.slowest_s)

    def __str__(self) -> str:
        parts = ", ".join(f"{self.counts[name]} {name}" for name in ("studies", "refused", "slow", "foreign"))
        total = sum(self.counts.values())
        return f"{total} mutated study files: {parts}; {self.slowest_s:.2f} s of CPU at most"


def read(seed: int) -> tuple[str, str]:
    """How one file goes, and what there is to say of it."""
    text = mutated(seed)
    try:
        with _bounded():
            spec = parse(text, "study.yaml")
            assert isinstance(spec, StudySpec)
            check_choices(spec)
    except SpecError as error:
        if not error.problems or "\n" in error.problems[0].what:
            return "foreign", f"no problem in a line: {error.problems}"
        return "refused", ""
    except TooSlow:
        return "slow", f"{text[:300]!r}"
    except Exception:
        return "foreign", traceback.format_exc(limit=-4)
    return "studies", ""


def read_seeds(start: int, stop: int) -> Tally:
    """Read the files of some seeds."""
    tally = Tally()
    for seed in range(start, stop):
        began = time.process_time()
        how, text = read(seed)
        tally.slowest_s = max(tally.slowest_s, time.process_time() - began)
        tally.counts[how] += 1
        if text:
            tally.wrong[seed] = f"{how}: {text}"
    return tally


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise TooSlow after BOUND_S seconds of this process' own time."""

    def late(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, BOUND_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def main() -> int:
    """Exit 1 where a file gave neither a study nor a SpecError, or took too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first of as many seeds")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    stop = options.seed + options.files
    starts = range(options.seed, stop, BATCH)
    with ProcessPoolExecutor(options.workers) as pool:
        for batch in pool.map(read_seeds, starts, [min(start + BATCH, stop) for start in starts]):
            tally.add(batch)
    for seed, text in list(tally.wrong.items())[:SHOWN]:
        print(f"seed {seed}: {text}", file=sys.stderr)
    print(f"{tally} in {time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
