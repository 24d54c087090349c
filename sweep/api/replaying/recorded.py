"""What a run's log holds of each trial that must repeat, and where two such records differ first.

Times, hosts, lanes and attempts differ from run to run, and so they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from sweep.rundir.history import History, read_reports
from sweep.vocabulary.trial import Report, Scalar


class Place(NamedTuple):
    """A report of a trial."""

    examples: int
    replicate: int


@dataclass(frozen=True)
class Difference:
    """One thing that differs: a metric of a report, or another part of a trial (`examples` None)."""

    trial: int
    what: str
    was: Any
    now: Any
    replicate: int | None = None
    examples: int | None = None

    def __str__(self) -> str:
        where = f"trial {self.trial}"
        if self.replicate is not None:
            where += f", replicate {self.replicate}"
        if self.examples is not None:
            where += f", {self.examples} examples"
        return f"{where}: {self.what} was {shown(self.was)}, is {shown(self.now)}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def shown(value: Any) -> str:
    """A value with all its digits."""
    return "missing" if value is None else repr(value) if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Trial:
    """A trial as it is recorded; `values` are those of a complete one."""

    number: int
    params: Mapping[str, Scalar]
    state: str
    values: tuple[float, ...] | None
    reports: Mapping[Place, Mapping[str, float]] = field(default_factory=dict)

    def after(self, examples: int) -> Trial:
        """The same with the reports after so many examples."""
        return replace(
            self, reports={place: each for place, each in self.reports.items() if place.examples > examples}
        )


def trials_of(run_dir: Path, history: History) -> dict[int, Trial]:
    """All trials of a run, by number."""
    rows = history.study.trials
    reports = read_reports(run_dir, set(rows))
    return {
        number: Trial(number, row.params, row.state, row.values, by_place(reports.get(number, ())))
        for number, row in sorted(rows.items())
    }


def by_place(reports: Iterable[Report]) -> dict[Place, Mapping[str, float]]:
    """What was reported where; of reports at one place the first counts."""
    found: dict[Place, Mapping[str, float]] = {}
    for report in reports:
        found.setdefault(Place(report.examples, report.replicate), report.metrics)
    return dict(sorted(found.items()))


def first_difference(was: Mapping[int, Trial], now: Mapping[int, Trial]) -> Difference | None:
    """Where two runs differ first, by number; None where they are equal."""
    for number in sorted({*was, *now}):
        if number not in was or number not in now:
            before, after = ("there" if number in each else None for each in (was, now))
            return Difference(number, "the trial", before, after)
        for difference in differences(was[number], now[number]):
            return difference
    return None


def differences(was: Trial, now: Trial) -> Iterator[Difference]:
    """Where two trials of one number differ: hyperparameters, reports, end."""
    for name in {**was.params, **now.params}:
        if not is_same(was.params.get(name), now.params.get(name)):
            yield Difference(was.number, name, was.params.get(name), now.params.get(name))
    yield from report_differences(was.number, was.reports, now.reports)
    if was.state != now.state:
        yield Difference(was.number, "its state", was.state, now.state)
    for one, other in zip(was.values or (), now.values or (), strict=False):
        if not is_same(one, other):
            yield Difference(was.number, "its value", one, other)


def report_differences(
    number: int, was: Mapping[Place, Mapping[str, float]], now: Mapping[Place, Mapping[str, float]]
) -> Iterator[Difference]:
    """Where the reports of a trial differ, in the order in which it trained."""
    for place in sorted({*was, *now}):
        if place not in was or place not in now:
            before, after = ("there" if place in each else None for each in (was, now))
            yield Difference(number, "the report", before, after, place.replicate, place.examples)
            continue
        for name in {**was[place], **now[place]}:
            one, other = was[place].get(name), now[place].get(name)
            if not is_same(one, other):
                yield Difference(number, name, one, other, place.replicate, place.examples)


def is_same(one: object, other: object) -> bool:
    """Equal bit for bit; what is no number equals what is none."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other
