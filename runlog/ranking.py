"""Which trials are best: by their values, their constraints and how they ended, for one objective or several.

A trial is ranked where it is COMPLETE, keeps its constraints, and has one finite value for each objective.
A value that is not finite is never best, in whichever direction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

COMPLETE = "COMPLETE"
"""The state that a ranked trial has ended in."""

Cost = tuple[float, ...]
"""A trial's values with the signs turned so that less is better."""


class Ended(Protocol):
    """What ranking asks of a trial."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> str: ...
    @property
    def values(self) -> Sequence[float] | None: ...
    @property
    def feasible(self) -> bool: ...


class Candidate(NamedTuple):
    """A trial as it is ranked, where no other class holds it."""

    number: int
    values: Sequence[float] | None
    state: str = COMPLETE
    feasible: bool = True


Trial = TypeVar("Trial", bound=Ended)


def best(trials: Iterable[Trial], directions: Sequence[str]) -> list[Trial]:
    """The ranked trials from best to worst; `directions` holds "maximize" or "minimize" an objective.

    With several objectives the Pareto fronts follow one another. Equals stand in number order.
    """
    if len(directions) == 1:
        costs = _costs(trials, directions)
        return [trial for _, trial in sorted(costs, key=lambda each: (each[0], each[1].number))]
    return [trial for front in fronts(trials, directions) for trial in front]


def fronts(trials: Iterable[Trial], directions: Sequence[str]) -> Iterator[list[Trial]]:
    """Yield Pareto fronts, best first: in each, in number order, what no trial of the rest dominates."""
    rest = sorted(_costs(trials, directions), key=lambda each: (each[0], each[1].number))
    while rest:
        front: list[tuple[Cost, Trial]] = []
        behind: list[tuple[Cost, Trial]] = []
        for cost, trial in rest:  # a trial sorts after all that dominate it
            dominated = any(_dominates(other, cost) for other, _ in front)
            (behind if dominated else front).append((cost, trial))
        yield sorted((trial for _, trial in front), key=lambda trial: trial.number)
        rest = behind


def front(trials: Iterable[Trial], directions: Sequence[str]) -> list[Trial]:
    """The first Pareto front; with one objective, the trials that share the best value."""
    return next(fronts(trials, directions), [])


def cost(trial: Ended, directions: Sequence[str]) -> Cost | None:
    """What to compare a trial by, less is better; None where it is not ranked."""
    values = trial.values
    if trial.state != COMPLETE or not trial.feasible or not directions:
        return None
    if values is None or len(values) != len(directions) or not all(map(math.isfinite, values)):
        return None
    return tuple(
        -value if direction == "maximize" else value
        for value, direction in zip(values, directions, strict=True)
    )


def _costs(trials: Iterable[Trial], directions: Sequence[str]) -> list[tuple[Cost, Trial]]:
    return [(found, trial) for trial in trials if (found := cost(trial, directions)) is not None]


def _dominates(one: Cost, other: Cost) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
