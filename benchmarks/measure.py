"""What every benchmark shares: interleaved timing, ratios with their noise, checks, tables and JSON.

A machine that does other work drifts by more than what is measured, so the things compared run in turn,
round by round, and only times of the same round are divided. The ratio of a thing to itself, timed the
same way, says how much of a ratio is noise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import groupby
from typing import Any, Literal

Row = Mapping[str, object]


@dataclass(frozen=True)
class Ratio:
    """Quartiles of one ratio a round."""

    low: float
    median: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Ratio:
        if len(values) < 2:
            raise ValueError(f"at least two rounds must hold, but got {len(values)}")
        return Ratio(*statistics.quantiles(values, n=4, method="inclusive"))

    @property
    def spread(self) -> float:
        """How far the quartiles reach from 1, as a factor >= 1 in whichever direction is farther."""
        return max(self.high, 1.0 / self.low)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Timings:
    """Seconds by name, one a round; equal places are the same round."""

    seconds: Mapping[str, Sequence[float]]

    def median_s(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, to: str) -> Ratio:
        """Return the ratio of `name` to `to`, round by round."""
        pairs = zip(self.seconds[name], self.seconds[to], strict=True)
        return Ratio.of([one / other for one, other in pairs])


def interleaved(runs: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 2) -> Timings:
    """Time each of `runs` once a round, in an order that turns by one place a round.

    A run must wait for what it computes. The same callable under a second name gives the ratio of it
    to itself. The first `warm_up` rounds (compilation, caches) are not counted.
    """
    names = list(runs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            runs[name]()
            took = time.perf_counter() - started
            if number >= 0:
                seconds[name].append(took)
    return Timings(seconds)


@dataclass(frozen=True)
class Check:
    """A figure that must be on one side of a bound; `holds` is None where it cannot be measured here."""

    name: str
    value: float
    bound: float
    holds: bool | None
    reason: str | None = None


def check(
    name: str,
    value: float,
    *,
    bound: float,
    side: Literal["at most", "at least"] = "at most",
    itself: Ratio | None = None,
) -> Check:
    """Judge a figure; with `itself`, the ratio of a thing to itself, only where its noise allows that."""
    if itself is not None and itself.spread > bound:
        reason = f"not measurable here: the same thing against itself is {itself}"
        return Check(name, value, bound, None, reason)
    return Check(name, value, bound, value <= bound if side == "at most" else value >= bound)


@dataclass
class Benchmark:
    """The rows and checks of one script, and how they are shown."""

    title: str
    packages: Sequence[str] = ("mlx", "numpy")
    machine: Mapping[str, object] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    def enter(self, *rows: Row) -> None:
        """Add rows, and show each at once: what was measured before a script is ended is not lost."""
        for row in rows:
            self.rows.append(row)
            say(json.dumps(self._row(row)))

    def finish(self, *, as_json: bool) -> int:
        """Print everything; return the exit code: 1 when a check does not hold."""
        if as_json:
            print(json.dumps(self._object(), indent=1))
        else:
            print(f"{self.title}\n{_line(self._machine())}\n{_line(self._versions())}\n")
            print(table(self.rows))
            for one in self.checks:
                print(_verdict(one))
        return 1 if any(one.holds is False for one in self.checks) else 0

    def _object(self) -> dict[str, Any]:
        return {
            "machine": self._machine(),
            "versions": self._versions(),
            "rows": [self._row(row) for row in self.rows],
            "checks": [
                {name: value for name, value in asdict(one).items() if name != "reason" or value}
                for one in self.checks
            ],
        }

    def _row(self, row: Row) -> dict[str, object]:
        return {name: _plain(value) for name, value in row.items()}

    def _machine(self) -> dict[str, object]:
        system = {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()}
        return {**system, **self.machine}

    def _versions(self) -> dict[str, str]:
        versions = {name: metadata.version(name) for name in self.packages}
        return {"python": platform.python_version(), **versions}


def table(rows: Sequence[Row]) -> str:
    """Return rows as aligned text, a column for each name; rows of other names are a table of their own."""
    return "\n".join(_aligned(list(alike)) for _, alike in groupby(rows, list))


def _aligned(rows: Sequence[Row]) -> str:
    cells = [list(rows[0]), *([_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def arguments(
    description: str, *, least_rounds: int = 1, before: bool = False, **numbers: int
) -> argparse.Namespace:
    """Parse `--json` and one option for each of `numbers`, its default; quartiles need two `rounds`.

    With `before` another commit can be named, to be measured in turn with this one.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    if before:
        add_before(parser)
    for name, default in numbers.items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=int, default=default, help="default: %(default)s")
    told = parser.parse_args()
    if "rounds" in numbers and told.rounds < least_rounds:
        parser.error(f"--rounds must be at least {least_rounds}, but got {told.rounds}")
    return told


def add_before(parser: argparse.ArgumentParser) -> None:
    """Give a parser the option of a commit to compare with."""
    parser.add_argument("--before", metavar="COMMIT", help="measure this commit, too, in the same rounds")


def say(text: str) -> None:
    """Show progress to a person who waits, on stderr: stdout is the result's."""
    print(text, file=sys.stderr, flush=True)


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Ratio) else value


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _line(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _verdict(one: Check) -> str:
    verdict = {True: "holds", False: "DOES NOT HOLD", None: one.reason}[one.holds]
    return f"{one.name}: {one.value:.4g}, bound {one.bound:g}: {verdict}"


@contextmanager
def silent() -> Iterator[None]:
    """Ray Tune prints whatever `verbose` says; the result stands alone on stdout."""
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
