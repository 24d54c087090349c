"""Read many mutated study files; counts studies, refusals, and what is neither."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from sweep.driver.build import check_choices
from sweep.errors import SpecError
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from tests.mutation.mutations import mutated
from tests.mutation.texts import texts
from tests.seeds import Tally, arguments, campaign

BOUND_S = 2.0
BATCH = 200
WAYS = ("studies", "refused", "slow", "foreign")


class TooSlow(BaseException):
    """Raised where a file takes longer than it may."""


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
    _import_all()
    return Tally("mutated study files", WAYS).try_all(read, range(start, stop))


@lru_cache(1)
def _import_all() -> None:
    """Have all that study files name imported: that takes seconds, once a process, and is no file's time."""
    for text in texts():
        with suppress(SpecError):  # of an extra that is not installed
            check_choices(parse(text, "study.yaml"))


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
    told = arguments("tests.mutation", __doc__, "files")
    return campaign(told, Tally("mutated study files", WAYS), read_seeds, batch=BATCH)


if __name__ == "__main__":
    sys.exit(main())
