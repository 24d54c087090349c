"""Hyperparameters that are drawn together, as mixtures see them: coordinates, and features of points.

A coordinate is a place from -0.5 to 0.5 in a *range*, or the index of a step or of a choice. A point's
features are such that the log densities of many kernels at many points are one product of matrices:

range             u² and u, for the place u; a kernel around m of width s has -1/2s² and m/s² there
steps, choices    1 at the index, 0 elsewhere; a kernel has the log of its mass at every index
1                 a kernel has the log of its weight there, and all that does not depend on the point

A range with so many steps that none shows is one without steps: its values are rounded at the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Table = NDArray[np.float32]

MOST_STEPS = 100
"""Of more steps each is narrower than any kernel: its mass is the density there times its width."""

LEAST_MASS = 1e-300
"""Stands for no mass at all, which has no logarithm."""

LOG_PRIOR_MASS = math.log(math.erf(0.5 / math.sqrt(2)))
"""Of what lies within a range of the prior's kernel: in the middle, and as wide as the range."""


class Axes:
    """Some hyperparameters, in one order: the first index of every array of coordinates or values.

    Axes are in `ranges`, `steps` or `choices`. Rows of features: squares of places, places, one for each
    index of a step or a choice (`rows_of` an axis, `choice_rows` of all choices), ones.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        every = list(distributions.values())
        self.count = len(every)
        self.ranges = np.array([axis for axis, each in enumerate(every) if is_range(each)], int)
        choices = [
            (axis, each) for axis, each in enumerate(every) if isinstance(each, CategoricalDistribution)
        ]
        self.choices = {axis: len(each.choices) for axis, each in choices}
        self.steps = {
            axis: Steps(each)
            for axis, each in enumerate(every)
            if isinstance(each, FloatDistribution | IntDistribution) and not is_range(each)
        }
        self._scales = {axis: Scale(every[axis]) for axis in self.ranges.tolist()}
        sizes = self.choices | {axis: each.count for axis, each in self.steps.items()}
        self.rows_of: dict[int, slice] = {}
        self.rows = 2 * len(self.ranges)
        for axis, size in sizes.items():
            self.rows_of[axis] = slice(self.rows, self.rows + size)
            self.rows += size
        self.squares, self.places = slice(len(self.ranges)), slice(len(self.ranges), 2 * len(self.ranges))
        self._indexed = slice(2 * len(self.ranges), self.rows)
        self._axis_of_row = np.repeat(list(sizes), list(sizes.values())).astype(int)
        self._index_of_row = np.concatenate([np.zeros(0), *map(np.arange, sizes.values())])[:, None]
        self._log_prior_choices = -sum(math.log(size) for size in self.choices.values())
        self.rows += 1
        self.choice_axes = np.array(list(self.choices), int)
        self.choice_sizes = np.array(list(self.choices.values()), float)[:, None]
        rows = [np.arange(self.rows)[self.rows_of[axis]] for axis in self.choices]
        self.choice_rows = np.concatenate([np.zeros(0, int), *rows])

    def coordinates(self, values: Array) -> Array:
        """Of points given by Optuna's own numbers for their hyperparameters."""
        found = values.copy()
        for axis, scale in self._scales.items():
            found[axis] = scale.places(values[axis])
        for axis, steps in self.steps.items():
            found[axis] = steps.indices(values[axis])
        return found

    def values(self, coordinates: Sequence[float]) -> list[float]:
        """The other way, of one point; on the nearest step where a range has steps."""
        found = list(coordinates)
        for axis, scale in self._scales.items():
            found[axis] = scale.value(coordinates[axis])
        for axis, steps in self.steps.items():
            found[axis] = steps.values[int(coordinates[axis])]
        return found

    def features(self, coordinates: Array) -> Table:
        """Of points: (rows, points)."""
        found = np.empty((self.rows, coordinates.shape[1]), np.float32)
        places = coordinates[self.ranges]
        found[self.squares], found[self.places] = places * places, places
        found[self._indexed] = coordinates[self._axis_of_row] == self._index_of_row
        found[-1] = 1.0
        return found

    def log_prior(self, coordinates: Array) -> Array:
        """The log density of the kernel that stands for no trial, at points."""
        places = coordinates[self.ranges]
        found: Array = -0.5 * (places * places).sum(axis=0)
        found += self._log_prior_choices - LOG_PRIOR_MASS * len(self.ranges)
        for axis, steps in self.steps.items():
            found += steps.log_prior[coordinates[axis].astype(int)]
        return found


def is_range(distribution: BaseDistribution) -> bool:
    """Whether it is a range without steps, or with so many that none shows."""
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return False
    step = distribution.step
    return step is None or (distribution.high - distribution.low) / step >= MOST_STEPS


class Scale:
    """Places in a range, in its logarithm where it is searched so; steps reach half of one past the ends."""

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._its = distribution
        half = (distribution.step or 0) / 2
        ends = float(distribution.low - half), float(distribution.high + half)
        self._low, high = map(math.log, ends) if distribution.log else ends
        self._span = high - self._low

    def places(self, values: Array) -> Array:
        """From -0.5 to 0.5."""
        scaled: Array = np.log(values) if self._its.log else values
        return (scaled - self._low) / self._span - 0.5

    def value(self, place: float) -> float:
        """At a place, on the nearest step."""
        its, value = self._its, (place + 0.5) * self._span + self._low
        if its.log:
            value = math.exp(value)
        if its.step is not None:
            value = its.low + round((value - its.low) / its.step) * its.step
        return min(max(value, its.low), its.high)


class Steps:
    """A range of few steps: what kernels weigh at each of them is kept, since few kernels are different."""

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        step = float(distribution.step or 1)
        self._low, self._step = float(distribution.low), step
        self.count = math.floor((distribution.high - distribution.low) / step + 0.5) + 1
        self.values = [min(self._low + step * index, distribution.high) for index in range(self.count)]
        scale = Scale(distribution)
        self.places = scale.places(np.array(self.values))
        self.edges = scale.places(
            np.array([self._low + step * (index - 0.5) for index in range(self.count + 1)])
        )
        self._kernels: dict[complex, Array] = {}
        self._narrow: dict[float, Array] = {}
        self.log_prior = self._log_masses(0.0, 1.0)

    def indices(self, values: Array) -> Array:
        """Of values: the nearest step's."""
        return np.rint((values - self._low) / self._step)

    def at(self, places: Array) -> Array:
        """The index of the step that each place belongs to."""
        return np.searchsorted(self.edges[1:-1], places).astype(float)

    def kernels(self, indices: Array, widths: Array) -> Array:
        """The log masses, at every step, of kernels around steps: (steps, kernels)."""
        found = np.empty((self.count, len(indices)))
        for place, kernel in enumerate((indices + 1j * widths).tolist()):
            if kernel not in self._kernels:
                self._kernels[kernel] = self._log_masses(self.places[int(kernel.real)], kernel.imag)
            found[:, place] = self._kernels[kernel]
        return found

    def narrow(self, width: float) -> Array:
        """The same of kernels of one width, around every step: (steps, kernels)."""
        if width not in self._narrow:
            every = np.arange(self.count, dtype=float)
            self._narrow = {width: self.kernels(every, np.full(self.count, width))}
        return self._narrow[width]

    def _log_masses(self, place: float, width: float) -> Array:
        """Of each step; those beyond the kernel's middle are told apart by what lies still farther out."""
        ends = (self.edges - place) / width / math.sqrt(2)
        beyond = np.array([math.erfc(abs(end)) / 2 for end in ends])
        below = np.where(ends > 0, 1 - beyond, beyond)
        masses = np.where(ends[:-1] > 0, beyond[:-1] - beyond[1:], np.diff(below))
        found: Array = np.log(np.maximum(masses, LEAST_MASS)) - math.log(below[-1] - below[0])
        return found
