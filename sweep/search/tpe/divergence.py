"""How likely a trial is to diverge at a point, from which trials did: where TPE's own good ones end.

TPE tells good from bad by density, and cannot see an edge beside its best points. A classifier by nearest
neighbours can, at any scale: gains are weighed with the chance of a finite loss, as expected improvement is
under unknown constraints.
Source: Gelbart et al., Bayesian Optimization with Unknown Constraints, 2014, section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from sweep.search import ends

Array = NDArray[np.float64]

NEIGHBOURS = 4
"""The distance to this neighbour is the width of the kernel: it shrinks where trials lie close."""

DOUBT = 0.5
"""As much as half a trial with a finite loss lies at every point."""

LEAST_RELEVANCE = 0.05
"""What has nothing to do with divergence so far may have later."""


class Divergence:
    """The ended trials of a study, those that diverged apart."""

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []
        self._diverged: list[bool] = []
        self._columns: dict[str, list[float]] = {}
        self.seen = False

    seen: bool
    """Whether any trial diverged; without one nothing is known."""

    def enter(self, trial: FrozenTrial) -> None:
        """One trial has ended by what its hyperparameters led to, and not by a failure."""
        diverged = bool(trial.user_attrs.get(ends.DIVERGED))
        self._trials.append(trial)
        self._diverged.append(diverged)
        self.seen = self.seen or diverged

    def log_chance_finite(self, points: Mapping[str, Array], space: Mapping[str, BaseDistribution]) -> Array:
        """The log of the chance that a trial does not diverge, at each point, in Optuna's own numbers."""
        diverged = np.array(self._diverged)
        squares = np.zeros((len(next(iter(points.values()))), len(diverged)))
        for name, values in points.items():
            distribution = space[name]
            column = _scaled(self._column(name), distribution)
            apart = np.abs(_scaled(values, distribution)[:, None] - column)
            if isinstance(distribution, CategoricalDistribution):
                apart = np.where(apart > 0, 1.0, apart)
            apart[np.isnan(apart)] = 1.0
            squares += (apart * _relevance(column, diverged, distribution)) ** 2
        nearest = min(NEIGHBOURS, len(diverged)) - 1
        width = np.partition(squares, nearest, axis=1)[:, nearest, None]
        weights = np.exp(-0.5 * squares / np.maximum(width, np.finfo(float).tiny))
        chance: Array = weights @ diverged / (weights.sum(axis=1) + DOUBT)
        return np.log1p(-chance)

    def _column(self, name: str) -> Array:
        """What each trial had there, in Optuna's numbers; NaN where it had nothing."""
        column = self._columns.setdefault(name, [])
        for trial in self._trials[len(column) :]:
            has = name in trial.params
            column.append(trial.distributions[name].to_internal_repr(trial.params[name]) if has else np.nan)
        return np.array(column)


def _scaled(values: Array, distribution: BaseDistribution) -> Array:
    """From 0 to 1 over a range, in its logarithm where it is searched so; choices stay what they are."""
    if isinstance(distribution, CategoricalDistribution):
        return values
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    if distribution.log:  # type: ignore[attr-defined]
        low, high, values = np.log(low), np.log(high), np.log(values)
    scaled: Array = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return scaled


def _relevance(column: Array, diverged: NDArray[np.bool_], distribution: BaseDistribution) -> float:
    """How much a hyperparameter alone tells of divergence: its distances count as much."""
    known = ~np.isnan(column)
    values, labels = column[known], diverged[known]
    if labels.all() or not labels.any():
        return LEAST_RELEVANCE
    if isinstance(distribution, CategoricalDistribution):
        share = labels.mean()
        groups = (labels[values == each] for each in np.unique(values))
        between = sum(len(group) * (group.mean() - share) ** 2 for group in groups) / len(labels)
        return LEAST_RELEVANCE + float(np.sqrt(between / (share * (1 - share))))
    finite, lost = np.sort(values[~labels]), values[labels]
    below = (np.searchsorted(finite, lost, "left") + np.searchsorted(finite, lost, "right")) / 2
    return LEAST_RELEVANCE + float(abs(2 * below.mean() / len(finite) - 1))
