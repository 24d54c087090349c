"""Campaigns over many seeds in several processes: how each went is counted, and what was wrong is shown."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

SHOWN = 10
"""How many of those that went wrong are shown."""

SAY_EVERY_S = 10.0
"""How often a campaign says how far it is."""


@dataclass
class Tally:
    """How seeds went, by the names in `ways`; `wrong` says what happened where it must not, by seed.

    `slowest` is the most CPU time that one took, in seconds, and its seed.
    """

    what: str
    ways: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)

    def try_all(self, attempt: Callable[[int], tuple[str, str]], seeds: Iterable[int]) -> Tally:
        """Enter how each seed goes, and what there is to say of it where that is wrong."""
        for seed in seeds:
            began = time.process_time()
            how, text = attempt(seed)
            self.slowest = max(self.slowest, (time.process_time() - began, seed))
            self.counts[how] += 1
            if text:
                self.wrong[seed] = f"{how}: {text}"
        return self

    def add(self, other: Tally) -> None:
        """Enter another's counts."""
        self.counts += other.counts
        self.wrong |= other.wrong
        self.slowest = max(self.slowest, other.slowest)

    def __str__(self) -> str:
        parts = ", ".join(f"{self.counts[way]} {way}" for way in self.ways)
        seconds, seed = self.slowest
        return (
            f"{sum(self.counts.values())} {self.what}: {parts}; {seconds:.2f} s of CPU at most (seed {seed})"
        )


def arguments(package: str, about: str | None, count: str) -> argparse.Namespace:
    """The command line: how many, called `count`, from which seed, in how many processes."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=about)
    parser.add_argument(f"--{count}", dest="count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first of as many seeds")
    add_jobs(parser)
    return parser.parse_args()


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Let the command line say in how many processes: `-j 16`, or `--jobs 16`."""
    cores = os.cpu_count() or 1
    parser.add_argument("-j", "--jobs", type=int, default=cores, help="processes; default: %(default)s")


def campaign(
    told: argparse.Namespace, tally: Tally, try_seeds: Callable[[int, int], Tally], *, batch: int
) -> int:
    """Try all seeds, `batch` of them a process at a time; 1 where something went wrong."""
    began, said, stop = time.monotonic(), 0.0, told.seed + told.count
    starts = range(told.seed, stop, batch)
    with ProcessPoolExecutor(told.jobs) as pool:
        for found in pool.map(try_seeds, starts, [min(start + batch, stop) for start in starts]):
            tally.add(found)
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                print(f"{tally} in {said - began:.0f} s", file=sys.stderr, flush=True)
    for seed, text in list(tally.wrong.items())[:SHOWN]:
        print(f"seed {seed}: {text}", file=sys.stderr)
    print(f"{tally} in {time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0
