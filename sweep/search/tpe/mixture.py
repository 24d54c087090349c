"""A mixture of kernels over some hyperparameters, to draw from and to compare points by.

It is that of Optuna's multivariate TPE, but for two things that let many asks be answered together. Kernels
of running trials are as narrow as any, and change nothing about those of the trials that have ended. And a
density is right to 3 %: points are compared by it, nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from sweep.search.optuna_internals import weights
from sweep.search.tpe import normal
from sweep.search.tpe.axes import Axes, Table, is_range
from sweep.search.tpe.lines import FINEST, Lines, least_width
from sweep.search.tpe.trials import Numbers, Rows, with_room

Array = NDArray[np.float64]

UNIT = 2**23 / math.log(2)
"""By so much the bits of a float32, read as an integer, grow where its logarithm grows by 1."""

ZERO = (127 - 0.0573) * 2**23
"""The bits of 1.0, less by what makes straight lines between the powers of two right on average."""

ABSENT = np.float32(-1e30)
"""The log weight of what is no part of a mixture."""

HIGHEST = 60.0
"""The greatest log density of which thousands can be summed as float32."""

NARROWEST_PEAK = math.log(FINEST)
"""The greatest log density that a kernel has along one range."""

MOST_RANGES = 30
"""Of more, the least and the greatest density of a mixture are too far apart for a float32."""

AT_ONCE = 500_000
"""A product of so many steps is short enough that OpenBLAS starts no threads for it, to wait for them."""

POINTS_AT_ONCE = 24
"""What one trial's candidates are by default."""


def is_covered(space: Mapping[str, BaseDistribution]) -> bool:
    """Whether a mixture can be over these hyperparameters."""
    return sum(map(is_range, space.values())) <= MOST_RANGES


class Mixture:
    """Kernels of ended trials and of running ones, a row of coefficients for each trial's number."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._on_lines = [*axes.ranges.tolist(), *axes.steps]
        self._lines = Lines(len(self._on_lines))
        self._lift = max(0.0, NARROWEST_PEAK * len(axes.ranges) - HIGHEST)
        self._is_in = np.zeros(0, bool)
        self._kernels = np.zeros((0, axes.rows), np.float32)
        self._constants = np.zeros((0, len(axes.ranges)))
        self._widths = np.zeros((0, len(self._on_lines)))
        self._coordinates = np.zeros((0, axes.count))
        self._scale = np.full((axes.rows, 1), UNIT, np.float32)
        self._log_weights = np.zeros(0)
        self.numbers: Numbers = np.zeros(0, np.int64)
        self._weigh()

    numbers: Numbers
    """The ended trials in it, in order."""

    def hold(self, is_in: NDArray[np.bool_], rows: Rows) -> None:
        """Be the mixture of these ended trials, said by number."""
        count = len(is_in)
        if count > len(self._is_in):
            self._is_in = with_room(self._is_in, count)
            self._kernels, self._constants, self._widths, self._coordinates = (
                with_room(each, count)
                for each in (self._kernels, self._constants, self._widths, self._coordinates)
            )
        differs = (is_in != self._is_in[:count]).nonzero()[0]
        if len(differs):
            self._exchange(differs[self._is_in[differs]], differs[is_in[differs]], rows)
            self._is_in[:count] = is_in
            self.numbers = is_in.nonzero()[0]
            self._weigh()
        self._kernels[:count, -1] = ABSENT
        self._kernels[self.numbers, -1] = self._log_weights
        few = 2 * len(self.numbers) < count
        self._shown = self._kernels[self.numbers] if few else self._kernels[:count]

    def _exchange(self, gone: Numbers, come: Numbers, rows: Rows) -> None:
        """Take trials out and in, and enter what that makes of all kernels."""
        coordinates = self._axes.coordinates(rows.columns(come))
        self._coordinates[come] = coordinates.T
        self._kernels[come] = self._axes.features(coordinates).T
        changed = self._lines.change(self._places(gone), self._places(come), gone, come)
        for line, axis in enumerate(self._on_lines):
            self._widths[changed.numbers[line], line] = changed.widths[line]
            if axis in self._axes.steps:
                indices = self._coordinates[changed.numbers[line], axis]
                kernels = self._axes.steps[axis].kernels(indices, changed.widths[line])
                self._kernels[changed.numbers[line], self._axes.rows_of[axis]] = kernels.T
        ranges = len(self._axes.ranges)
        numbers, places, widths = (each[:ranges] for each in changed)
        sharpness, columns = 1 / (widths * widths), np.arange(ranges)[:, None]
        mass = normal.below((0.5 - places) / widths) - normal.below((-0.5 - places) / widths)
        self._kernels[numbers, columns] = -0.5 * sharpness
        self._kernels[numbers, columns + ranges] = places * sharpness
        self._constants[numbers, columns] = -0.5 * sharpness * places * places - np.log(widths * mass)

    def _weigh(self) -> None:
        """What depends on how many kernels there are: weights by age, what a kernel's own choice counts."""
        count = len(self.numbers) + 1
        self._base = ZERO / UNIT - self._lift
        for axis, size in self._axes.choices.items():
            self._scale[self._axes.rows_of[axis]] = UNIT * math.log(count + 1)
            self._base -= math.log(count + size)
        constants = self._constants[self.numbers].sum(axis=1)
        self._log_weights = np.log(weights(count - 1)) + self._base + constants
        self._drawing: _Drawing | None = None

    def run(self, coordinates: Array) -> None:
        """Add the kernels of trials that run, until the next `hold`."""
        if coordinates.shape[1]:
            self._shown = np.concatenate([self._shown, self.running(coordinates)])

    def running(self, coordinates: Array) -> Table:
        """The kernels of trials that run, whatever others there are: (trials, rows)."""
        axes, width = self._axes, least_width(len(self.numbers) + 1)
        found = axes.features(coordinates)
        sharpness, places = 1 / width**2, coordinates[axes.ranges]
        found[axes.squares] = -0.5 * sharpness
        found[axes.places] *= sharpness
        peak = self._base - math.log(width) * len(places)
        found[-1] = peak - 0.5 * sharpness * (places * places).sum(axis=0)
        for axis, steps in axes.steps.items():
            found[axes.rows_of[axis]] = steps.narrow(width)[:, coordinates[axis].astype(int)]
        return found.T

    def prior(self, coordinates: Array) -> Array:
        """The density of the kernel that stands for no trial, at points."""
        return np.exp(self._axes.log_prior(coordinates) - self._lift)

    def scaled(self, features: Table) -> Table:
        """Points as `density` takes them: (points, rows)."""
        return np.ascontiguousarray((features * self._scale).T)

    def density(self, points: Table, kernels: Table | None = None) -> Array:
        """Of all kernels but the prior's, or of those given; not normalised.

        An exponential is the float32 whose bits are its logarithm, scaled and rounded: that costs a tenth.
        Source: Schraudolph, A fast, compact approximation of the exponential function, 1999.
        """
        kernels = self._shown if kernels is None else kernels
        found = np.zeros(len(points))
        at_once = AT_ONCE // (POINTS_AT_ONCE * self._axes.rows) + 1
        for start in range(0, len(kernels), at_once):
            some = kernels[start : start + at_once].T
            for first in range(0, len(points), POINTS_AT_ONCE):
                bits = points[first : first + POINTS_AT_ONCE] @ some
                np.maximum(bits, 0, out=bits)
                found[first : first + POINTS_AT_ONCE] += bits.astype(np.int32).view(np.float32).sum(axis=1)
        return found

    def drawn(self, chances: Array) -> Array:
        """Points drawn from the ended trials and the prior: their coordinates.

        Of `chances`, from 0 to 1, the first row chooses each point's kernel, the others its coordinates.
        """
        if self._drawing is None:
            self._drawing = self._prepared()
        (indices, places, widths, low, mass), axes = self._drawing, self._axes
        kernel = np.minimum((chances[0] * places.shape[1]).astype(np.int64), places.shape[1] - 1)
        found = np.empty((axes.count, chances.shape[1]))
        on_lines = chances[1:][self._on_lines]
        at = places[:, kernel] + widths[:, kernel] * normal.quantile(
            low[:, kernel] + mass[:, kernel] * on_lines
        )
        found[axes.ranges] = np.minimum(np.maximum(at[: len(axes.ranges)], -0.5), 0.5)
        for its, (axis, steps) in zip(at[len(axes.ranges) :], axes.steps.items(), strict=True):
            found[axis] = steps.at(its)
        for axis, size in axes.choices.items():
            # With a chance of one in so many kernels a choice, any choice; under the prior, always.
            share = np.where(kernel < len(self.numbers), size / (places.shape[1] + size), 1.0)
            other = np.minimum(np.floor(chances[axis + 1] / share * size), size - 1)
            found[axis] = np.where(chances[axis + 1] < share, other, indices[axis, kernel])
        return found

    def _prepared(self) -> _Drawing:
        own = np.append(self._coordinates[self.numbers], np.zeros((1, self._axes.count)), axis=0).T
        places = np.append(self._places(self.numbers), np.zeros((len(self._on_lines), 1)), axis=1)
        widths = np.append(self._widths[self.numbers].T, np.ones((len(self._on_lines), 1)), axis=1)
        low, high = (normal.below((end - places) / widths) for end in (-0.5, 0.5))
        return _Drawing(own, places, widths, low, high - low)

    def _places(self, numbers: Numbers) -> Array:
        """Of trials, along what has an order: (hyperparameters, trials)."""
        found = self._coordinates[numbers][:, self._on_lines].T
        for line, axis in enumerate(self._on_lines):
            if axis in self._axes.steps:
                found[line] = self._axes.steps[axis].places[found[line].astype(int)]
        return found


class _Drawing(NamedTuple):
    """The kernels that are drawn from, the prior's last, and what each has below and within the range."""

    coordinates: Array
    places: Array
    widths: Array
    below: Array
    within: Array
