"""The density of one of TPE's mixtures over many trials, what stays the same from one to the next kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.search.optuna_internals import (
    CONTINUOUS_KERNELS,
    LOG_NORMAL_CONSTANT,
    ParzenEstimator,
    log_gauss_mass,
    mixture,
)
from sweep.search.tpe.trials import Numbers, with_room

Array = NDArray[np.float64]

ENDS = ("adapted_low", "adapted_high")

EXACT_ERF_BELOW = 2000
"""So many values at once Optuna hands to `math.erf` one by one; from there on it approximates."""


class Density:
    """Log densities under Optuna's Parzen estimators, bit for bit those of its own `log_pdf`.

    A kernel is a normal distribution around a trial's value, cut off at the ends of the hyperparameter's
    range. The log of its mass within costs most, and changes only where the kernel's width does: where a
    neighbour came. So it is kept by the trial's number.
    """

    def __init__(self, count: int) -> None:
        """For `count` hyperparameters."""
        self._ends = np.zeros((0, count, 2))
        self._mass = np.zeros((0, count))

    def log_pdf(self, estimator: ParzenEstimator, numbers: Numbers, points: dict[str, Array]) -> Array:
        """At each point, under the mixture of a kernel for each trial and the prior's, which comes last."""
        weights, kernels, space = mixture(estimator)
        if not all(isinstance(each, CONTINUOUS_KERNELS) for each in kernels):
            return estimator.log_pdf(points)
        lows, highs = (np.array([[getattr(each, end)] for each in kernels]) for end in ENDS)
        means, widths = (np.array([getattr(each, name) for each in kernels]) for name in ("mu", "sigma"))
        ends = np.stack([lows - means, highs - means]) / widths
        masses = self._masses(np.append(numbers + 1, 0), ends)
        total = np.zeros(())
        for kernel, name, its_ends, mass in zip(kernels, space, ends.swapaxes(0, 1), masses, strict=True):
            total = total + _log_normal(kernel, np.array(points[name]), its_ends, mass)
        total += np.log(weights)
        return _log_sum_exp(total)

    def _masses(self, rows: Numbers, ends: Array) -> Array:
        """Log of the mass of each kernel between its ends, which are (2, hyperparameters, kernels)."""
        starts, stops = ends
        if np.count_nonzero((starts <= 0) & (stops > 0)) >= EXACT_ERF_BELOW:
            return log_gauss_mass(starts, stops)
        room = rows.max() + 1
        self._ends, self._mass = with_room(self._ends, room), with_room(self._mass, room)
        ends, masses = ends.T, self._mass[rows]
        changed = (self._ends[rows] != ends).any(axis=-1)
        masses[changed] = log_gauss_mass(*ends[changed].T)
        self._ends[rows], self._mass[rows] = ends, masses
        return masses.T


def _log_normal(kernel: Any, points: Array, ends: Array, mass: Array) -> Array:
    """Of one hyperparameter's kernels, cut off at their ends: (points, kernels)."""
    x = np.log(points) if kernel.is_log else points
    density: Array = (x[:, None] - kernel.mu) / kernel.sigma
    # Where all points are in the range none is beyond an end: rounding keeps the order.
    all_within = x.min() >= kernel.adapted_low and x.max() <= kernel.adapted_high
    outside = None if all_within else (density < ends[0]) | (density > ends[1])
    np.square(density, out=density)
    density *= -0.5
    density -= LOG_NORMAL_CONSTANT
    density -= mass
    density -= np.log(kernel.sigma)
    if outside is not None:
        density[outside] = -np.inf
    return density


def _log_sum_exp(values: Array) -> Array:
    """Of each row; the rows are overwritten."""
    largest: Array = values.max(axis=1)
    largest[np.isneginf(largest)] = 0
    values -= largest[:, None]
    np.exp(values, out=values)
    with np.errstate(divide="ignore"):
        largest += np.log(values.sum(axis=1))
    return largest
