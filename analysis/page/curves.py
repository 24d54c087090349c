"""Metrics over training: each trial's points, and as many of them as a page can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_POINTS = 60_000
"""So many points of the objective a page holds."""

MOST_OTHERS = 25_000
"""So many points of all other metrics together."""

WHOLE = 20
"""So many of the best trials have all their points, up to MOST_OF_A_TRIAL."""

MOST_OF_A_TRIAL = 200
FEWEST_OF_A_TRIAL = 4

MOST_ASKED = 1000
"""So many points of each metric has a trial that is asked for by itself."""

Curve = tuple[list[int], list[float]]
"""Examples, in order, and the values there."""


@dataclass
class Points:
    """One trial's reports of one metric: at each number of examples the sum over replicates, and how many."""

    at: dict[int, tuple[float, int]] = field(default_factory=dict)

    def add(self, examples: int, value: float) -> float:
        """One replicate's report; the mean there now."""
        total, count = self.at.get(examples, (0.0, 0))
        self.at[examples] = total + value, count + 1
        return (total + value) / (count + 1)

    def curve(self, most: int = MOST_OF_A_TRIAL) -> Curve:
        """The means in order of examples, thinned to at most so many."""
        means = [(examples, total / count) for examples, (total, count) in sorted(self.at.items())]
        return thinned(means, most)


def thinned(points: Sequence[tuple[int, float]], most: int) -> Curve:
    """At most so many points (3 or more) that keep the line's shape.

    The first, the last, and of each stretch between them one. That spans the
    largest triangle with the point kept before it and the mean of the next stretch (largest triangle three
    buckets; Steinarsson 2013).
    """
    if len(points) > most:
        size = (len(points) - 2) / (most - 2)
        edges = [1 + round(size * place) for place in range(most - 1)] + [len(points)]
        kept = [points[0]]
        for place in range(most - 2):
            stretch = points[edges[place] : edges[place + 1]]
            following = points[edges[place + 1] : edges[place + 2]]
            x = sum(each[0] for each in following) / len(following)
            y = sum(each[1] for each in following) / len(following)
            before = kept[-1]
            kept.append(max(stretch, key=lambda each: _area(before, each, (x, y))))
        points = [*kept, points[-1]]
    return [examples for examples, _ in points], [value for _, value in points]


def _area(one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]) -> float:
    """Twice the area of a triangle."""
    return abs((one[0] - three[0]) * (two[1] - one[1]) - (one[0] - two[0]) * (three[1] - one[1]))


class Curves:
    """All metrics of all trials."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[int, Points]] = {}

    def add(self, trial: int, examples: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """One report of one replicate; the means there now, where they are finite."""
        found = {}
        for name, value in metrics.items():
            if value is not None and math.isfinite(value):
                points = self.metrics.setdefault(name, {}).setdefault(trial, Points())
                found[name] = points.add(examples, value)
        return found

    def of(self, trial: int) -> dict[str, list[list[Any]]]:
        """One trial's curves, by metric."""
        held = {name: trials[trial] for name, trials in self.metrics.items() if trial in trials}
        return {name: _short(points.curve(MOST_ASKED)) for name, points in held.items()}

    def packed(self, objective: str, best_first: Iterable[int]) -> tuple[dict[str, Any], list[str]]:
        """What a page holds, metric -> trial -> [examples, values], and what to say of what it leaves out."""
        said: list[str] = []
        trials, order = self.metrics.get(objective, {}), list(best_first)
        most = max(FEWEST_OF_A_TRIAL, min(MOST_OF_A_TRIAL, MOST_POINTS // max(1, len(trials))))
        whole = set(order[:WHOLE])
        packed = {
            objective: {
                number: _short(points.curve(MOST_OF_A_TRIAL if number in whole else most))
                for number, points in trials.items()
            }
        }
        if any(len(points.at) > most for points in trials.values()):
            said.append(
                f"Each line goes through at most {most} of its trial's reports, chosen to keep its shape; "
                f"those of the {WHOLE} best trials through up to {MOST_OF_A_TRIAL}."
            )
        others = [name for name in self.metrics if name != objective]
        if others:
            held = self._others(others, order, packed)
            if held is not None:
                said.append(f"Other metrics are here of the {held} best trials only.")
        return packed, said

    def _others(self, names: list[str], best_first: Iterable[int], packed: dict[str, Any]) -> int | None:
        """Add other metrics, of the best trials first, while there is room; of how many, None for all."""
        left, held, complete = MOST_OTHERS, 0, True
        packed |= {name: {} for name in names}
        for number in best_first:
            found = {name: self.metrics[name][number] for name in names if number in self.metrics[name]}
            left -= sum(min(len(points.at), MOST_OF_A_TRIAL) for points in found.values())
            if left < 0:
                complete = False
                break
            for name, points in found.items():
                packed[name][number] = _short(points.curve())
            held += 1
        return None if complete else held


def _short(curve: Curve) -> list[list[Any]]:
    """As JSON, values to five digits."""
    return [curve[0], [float(f"{value:.5g}") for value in curve[1]]]
