"""A mixture of kernels over some hyperparameters, to draw from and to compare points by.

It is that of Optuna's multivariate TPE, but for two things that let many asks be answered together. Kernels
of running trials are as narrow as any, and change nothing about those of the trials that have ended. And a
density is right to 3 %: points are compared by it, nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

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

MOST_CACHED = 50_000
"""So many numbers stay in a processor's cache from one step to the next."""

RECENT = 25
"""So many of the latest trials have the full weight."""


def is_covered(space: Mapping[str, BaseDistribution]) -> bool:
    """Whether a mixture can be over these hyperparameters."""
    return sum(map(is_range, space.values())) <= MOST_RANGES


class Mixture:
    """Kernels of ended trials and of running ones, a column of coefficients for each trial's number."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._on_lines = [*axes.ranges.tolist(), *axes.steps]
        self._lines = Lines(len(self._on_lines))
        self._lift = max(0.0, NARROWEST_PEAK * len(axes.ranges) - HIGHEST)
        self._is_in = np.zeros(0, bool)
        self._kernels = np.zeros((axes.rows, 0), np.float32)
        self._constants = np.zeros((len(axes.ranges), 0))
        self._sums = np.zeros(0)
        self._widths = np.zeros((len(self._on_lines), 0))
        self._coordinates = np.zeros((axes.count, 0))
        self._scale = np.full((axes.rows, 1), UNIT, np.float32)
        self._log_weights = np.zeros(0)
        self._seen = self._shown_count = 0
        self.numbers: Numbers = np.zeros(0, np.int64)
        self._weigh()

    numbers: Numbers
    """The ended trials in it, in order."""

    def hold(self, is_in: NDArray[np.bool_], rows: Rows) -> None:
        """Be the mixture of these ended trials, said by number."""
        count = len(is_in)
        if count > len(self._is_in):
            self._is_in, self._sums = with_room(self._is_in, count), with_room(self._sums, count)
            self._kernels, self._constants, self._widths, self._coordinates = (
                with_columns(each, len(self._is_in))
                for each in (self._kernels, self._constants, self._widths, self._coordinates)
            )
        self._kernels[-1, self._seen : max(count, self._shown_count)] = ABSENT
        differs = (is_in != self._is_in[:count]).nonzero()[0]
        if len(differs):
            self._exchange(differs[self._is_in[differs]], differs[is_in[differs]], rows)
            self._is_in[:count] = is_in
            self.numbers = is_in.nonzero()[0]
            self._weigh()
            self._kernels[-1, :count] = ABSENT
            self._kernels[-1, self.numbers] = self._log_weights
        self._seen = count
        few = 2 * len(self.numbers) < count
        self._shown = self._kernels[:, self.numbers] if few else self._kernels
        self._shown_count = len(self.numbers) if few else count

    def _exchange(self, gone: Numbers, come: Numbers, rows: Rows) -> None:
        """Take trials out and in, and enter what that makes of all kernels."""
        coordinates = self._axes.coordinates(rows.columns(come))
        self._coordinates[:, come] = coordinates
        self._kernels[:, come] = self._axes.features(coordinates)
        changed = self._lines.change(self._places(gone), self._places(come), gone, come)
        numbers, widths = changed.numbers, changed.widths
        self._widths[np.arange(len(widths))[:, None], numbers] = widths
        for line, axis in enumerate(self._on_lines):
            if axis in self._axes.steps:
                indices = self._coordinates[axis, numbers[line]]
                kernels = self._axes.steps[axis].kernels(indices, widths[line])
                self._kernels[self._axes.rows_of[axis], numbers[line]] = kernels
        ranges = len(self._axes.ranges)
        if ranges:
            numbers, places, widths = numbers[:ranges], changed.places[:ranges], widths[:ranges]
            lines = np.arange(ranges)[:, None]
            sharpness = 1 / (widths * widths)
            ends = (np.array([-0.5, 0.5])[:, None, None] - places) / widths
            below, within = normal.below(ends)
            steep = places * sharpness
            self._kernels[lines, numbers] = -0.5 * sharpness
            self._kernels[lines + ranges, numbers] = steep
            self._constants[lines, numbers] = -0.5 * steep * places - np.log(widths * (within - below))
            changes = numbers.ravel()
            self._sums[changes] = self._constants[:, changes].sum(axis=0)

    def _weigh(self) -> None:
        """What depends on how many kernels there are: weights by age, what a kernel's own choice counts."""
        count = len(self.numbers) + 1
        self._scale[self._axes.choice_rows] = UNIT * math.log(count + 1)
        self._base = ZERO / UNIT - self._lift
        self._base -= sum(math.log(count + size) for size in self._axes.choices.values())
        self._log_weights = log_weights(count - 1) + self._base + self._sums[self.numbers]
        self._drawing: _Drawing | None = None

    def run(self, kernels: Table) -> None:
        """Add kernels of trials that run, (rows, trials), until the next `hold`."""
        begin, self._shown_count = self._shown_count, self._shown_count + kernels.shape[1]
        if self._shown_count > self._shown.shape[1]:
            self._shown = with_columns(self._shown[:, :begin], 2 * self._shown_count)
        self._shown[:, begin : self._shown_count] = kernels

    def running(self, coordinates: Array) -> Table:
        """The kernels of trials that run, whatever others there are: (rows, trials)."""
        axes, width = self._axes, least_width(len(self.numbers) + 1)
        found = axes.features(coordinates)
        sharpness, places = 1 / width**2, coordinates[axes.ranges]
        found[axes.squares] = -0.5 * sharpness
        found[axes.places] *= sharpness
        peak = self._base - math.log(width) * len(places)
        found[-1] = peak - 0.5 * sharpness * (places * places).sum(axis=0)
        for axis, steps in axes.steps.items():
            found[axes.rows_of[axis]] = steps.narrow(width)[:, coordinates[axis].astype(int)]
        return found

    def prior(self, coordinates: Array) -> Array:
        """The density of the kernel that stands for no trial, at points."""
        return np.exp(self._axes.log_prior(coordinates) - self._lift)

    def scaled(self, features: Table) -> Table:
        """Points as `density` takes them: (points, rows)."""
        return np.ascontiguousarray((features * self._scale).T)

    def density(self, points: Table) -> Array:
        """Of all kernels but the prior's; not normalised.

        An exponential is the float32 whose bits are its logarithm, scaled and rounded: that costs a tenth.
        Source: Schraudolph, A fast, compact approximation of the exponential function, 1999.
        """
        found = np.zeros(len(points))
        kernels_at_once, points_at_once = self._at_once()
        for start in range(0, self._shown_count, kernels_at_once):
            kernels = self._shown[:, start : min(start + kernels_at_once, self._shown_count)]
            for first in range(0, len(points), points_at_once):
                logs = points[first : first + points_at_once] @ kernels
                # NumPy compares two arrays three times as fast as an array and a number.
                np.maximum(logs, _constant(0.0, logs.size).reshape(logs.shape), out=logs)
                exponentials = logs.astype(np.int32).view(np.float32)
                ones = _constant(1.0, kernels.shape[1])
                found[first : first + points_at_once] += exponentials @ ones
        return found

    def _at_once(self) -> tuple[int, int]:
        """How many kernels, and points, one product is of."""
        kernels = min(self._shown_count, AT_ONCE // (POINTS_AT_ONCE * self._axes.rows)) + 1
        most = min(AT_ONCE // self._axes.rows, MOST_CACHED) // kernels
        return kernels, max(POINTS_AT_ONCE, most)

    def drawn(self, chances: Array) -> Array:
        """Points drawn from the ended trials and the prior: their coordinates.

        Of `chances`, from 0 to 1, the first row chooses each point's kernel, the others its coordinates.
        """
        if self._drawing is None:
            self._drawing = self._prepared()
        (indices, lines), axes = self._drawing, self._axes
        count = lines.shape[2]
        kernel = np.minimum((chances[0] * count).astype(np.int64), count - 1)
        found = np.empty((axes.count, chances.shape[1]))
        if self._on_lines:
            places, widths, low, within = lines[:, :, kernel]
            at = places + widths * normal.quantile(low + within * chances[1:][self._on_lines])
            found[axes.ranges] = np.minimum(np.maximum(at[: len(axes.ranges)], -0.5), 0.5)
            for its, (axis, steps) in zip(at[len(axes.ranges) :], axes.steps.items(), strict=True):
                found[axis] = steps.at(its)
        if axes.choices:
            # With a chance of one in so many kernels a choice, any choice; under the prior, always.
            sizes, chance = axes.choice_sizes, chances[1:][axes.choice_axes]
            share = np.where(kernel < count - 1, sizes / (count + sizes), 1.0)
            other = np.minimum(np.floor(chance / share * sizes), sizes - 1)
            found[axes.choice_axes] = np.where(chance < share, other, indices[:, kernel])
        return found

    def _prepared(self) -> _Drawing:
        indices = self._coordinates[:, self.numbers][self._axes.choice_axes]
        nothing = np.zeros((len(self._on_lines), 1))
        places = np.append(self._places(self.numbers), nothing, axis=1)
        widths = np.append(self._widths[:, self.numbers], nothing + 1, axis=1)
        low, high = normal.below((np.array([-0.5, 0.5])[:, None, None] - places) / widths)
        lines = np.stack([places, widths, low, high - low])
        return _Drawing(np.append(indices, np.zeros((len(indices), 1)), axis=1), lines)

    def _places(self, numbers: Numbers) -> Array:
        """Of trials, along what has an order: (hyperparameters, trials)."""
        found = self._coordinates[:, numbers][self._on_lines]
        for line, axis in enumerate(self._on_lines):
            if axis in self._axes.steps:
                found[line] = self._axes.steps[axis].places[found[line].astype(int)]
        return found


class _Drawing(NamedTuple):
    """The kernels that are drawn from, the prior's last.

    `indices` are choices, (hyperparameters, kernels); `lines` hold the places, the widths, what is below the
    range, and within it: (4, hyperparameters, kernels).
    """

    indices: Array
    lines: Array


def log_weights(count: int) -> Array:
    """The logarithms of what so many trials count, oldest first: as in Optuna, the last 25 most."""
    found, older = np.zeros(count), count - RECENT
    if older > 0:
        step = (1 - 1 / count) / max(1, older - 1)
        found[:older] = np.log(np.arange(older) * step + 1 / count)
    return found


def with_columns(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array with so many columns, the first of which are its own."""
    wider = np.zeros((len(array), count), array.dtype)
    wider[:, : array.shape[1]] = array
    return wider


def _constant(value: float, count: int) -> Table:
    """A number so many times; it is kept for the next time."""
    kept = _constants.get(value)
    if kept is None or len(kept) < count:
        kept = _constants[value] = np.full(2 * count, value, np.float32)
    return kept[:count]


_constants: dict[float, Table] = {}
