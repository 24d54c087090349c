"""Which trials are better than which, by their values alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

Values = Sequence[float]
"""A trial's values, one an objective."""


def best_first(values: Mapping[int, Values], directions: Sequence[str]) -> list[int]:
    """Order trial numbers from best to worst; `directions` holds "maximize" or "minimize" an objective.

    With several objectives, the Pareto fronts follow one another. Equals stand in number order;
    trials with a value that is not finite are left out.
    """
    if len(directions) == 1:
        costs = _costs(values, directions)
        return sorted(costs, key=costs.__getitem__)
    return [number for front in fronts(values, directions) for number in front]


def fronts(values: Mapping[int, Values], directions: Sequence[str]) -> Iterator[list[int]]:
    """Yield Pareto fronts, best first: in each, the trials that no trial of the rest dominates."""
    rest = _costs(values, directions)
    while rest:
        front: dict[int, tuple[float, ...]] = {}
        for number in sorted(rest, key=rest.__getitem__):  # a trial sorts after all that dominate it
            if not any(_dominates(other, rest[number]) for other in front.values()):
                front[number] = rest[number]
        yield sorted(front)
        rest = {number: cost for number, cost in rest.items() if number not in front}


def _costs(values: Mapping[int, Values], directions: Sequence[str]) -> dict[int, tuple[float, ...]]:
    signs = [-1.0 if direction == "maximize" else 1.0 for direction in directions]
    return {
        number: tuple(sign * value for sign, value in zip(signs, values[number], strict=True))
        for number in sorted(values)
        if all(map(math.isfinite, values[number]))
    }


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
