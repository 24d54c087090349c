"""Numbers of a copied member by a bandit that changes with time: `explore: pb2`.

Parker-Holder et al., Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits,
2020: a Gaussian process over hyperparameters and time predicts by how much an interval makes a member better,
and the greatest upper confidence bound is taken. Points that others were just given, whose results are not
known, lower the uncertainty around them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

import numpy as np
import numpy.typing as npt

from sweep.search.pbt.explore import within
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange
from sweep.vocabulary.trial import Scalar

Array = npt.NDArray[np.float64]
Range = FloatRange | IntRange

MOST = 64
"""Of so many results the process is made, the latest: with more, LAPACK takes threads, which cost more."""

LEAST = 4
"""With fewer results there is nothing to go by."""

CANDIDATES = 128
SCALES, FADING, NOISE = (0.1, 0.3, 1.0), (0.0, 0.1, 0.4), (0.05, 0.5)
"""What is tried for the kernel: its length scale, how fast it forgets an interval, the noise."""


@dataclass(frozen=True)
class Gain:
    """What an interval brought: its hyperparameters, its number, by how much the member became better."""

    hyperparameters: Mapping[str, Scalar]
    interval: int
    gain: float


class Bandit:
    """Chooses the numbers of `space` by what intervals brought; it knows nothing where too few are known."""

    def __init__(self, space: Mapping[str, Entry], gains: Sequence[Gain]) -> None:
        self._ranges = {
            name: entry for name, entry in sorted(space.items()) if not isinstance(entry, Choices)
        }
        known = [each for each in gains if math.isfinite(each.gain)][-MOST:]
        self._process = self._fitted(known) if self._ranges and len(known) >= LEAST else None

    def _fitted(self, known: Sequence[Gain]) -> Process:
        x = self._points([each.hyperparameters for each in known])
        t = np.array([float(each.interval) for each in known])
        y = np.array([each.gain for each in known])
        y = (y - y.mean()) / (y.std() or 1.0)
        made = (Process(x, t, y, *settings) for settings in product(SCALES, FADING, NOISE))
        return max(made, key=lambda process: process.fit)

    def proposed(
        self, pending: Sequence[Mapping[str, Scalar]], interval: int, chance: Random
    ) -> dict[str, Scalar]:
        """Values for an interval, beside those that others were given; none where too little is known."""
        if self._process is None:
            return {}
        process = (
            self._process.with_pending(self._points(pending), float(interval)) if pending else self._process
        )
        drawn = np.array([[chance.random() for _ in self._ranges] for _ in range(CANDIDATES)])
        mean, deviation = process.predicted(drawn, float(interval))
        bound = mean + math.sqrt(0.2 + math.log(1 + 0.4 * interval)) * deviation
        best = drawn[int(np.argmax(bound))]
        ranges = self._ranges.items()
        return {name: _value(entry, float(place)) for (name, entry), place in zip(ranges, best, strict=True)}

    def _points(self, found: Sequence[Mapping[str, Scalar]]) -> Array:
        """Where hyperparameters lie in their ranges, (points, ranges)."""
        return np.array(
            [[_place(entry, each[name]) for name, entry in self._ranges.items()] for each in found]
        )


class Process:
    """A Gaussian process over points in [0, 1] and time; it fades by (1 - fading) ** (|t - t'| / 2)."""

    def __init__(self, x: Array, t: Array, y: Array, scale: float, fading: float, noise: float) -> None:
        """`x` (points, ranges), `t` and `y` (points,)."""
        self._x, self._t, self._y = x, t, y
        self._settings = (scale, fading, noise)
        root = np.linalg.cholesky(self._kernel(x, t) + noise * np.eye(len(x)))
        self._inverse = np.linalg.inv(root)
        self._weights = self._inverse.T @ (self._inverse @ y)
        self.fit = float(-0.5 * y @ self._weights - np.log(np.diag(root)).sum())

    fit: float
    """The logarithm of the marginal likelihood, without its constant."""

    def with_pending(self, x: Array, t: float) -> Process:
        """The same with points whose results are what it expects there."""
        mean, _ = self.predicted(x, t)
        times = np.concatenate([self._t, np.full(len(x), t)])
        return Process(np.concatenate([self._x, x]), times, np.concatenate([self._y, mean]), *self._settings)

    def predicted(self, x: Array, t: float) -> tuple[Array, Array]:
        """Means and standard deviations at points and a time."""
        cross = self._kernel(x, np.full(len(x), t))
        solved = self._inverse @ cross.T
        return cross @ self._weights, np.sqrt(np.maximum(1.0 - (solved**2).sum(axis=0), 1e-12))

    def _kernel(self, x: Array, t: Array) -> Array:
        """Covariances of points with those of the process."""
        scale, fading, _ = self._settings
        distance = ((x[:, None] - self._x[None]) ** 2).sum(axis=-1)
        faded = (1 - fading) ** (np.abs(t[:, None] - self._t[None]) / 2)
        kernel: Array = np.exp(-distance / (2 * scale**2)) * faded
        return kernel


def _place(entry: Range, value: Scalar) -> float:
    """Where a value lies in its range, from 0 to 1."""
    assert isinstance(value, int | float), "a range holds numbers"
    low, high = float(entry.low), float(entry.high)
    if entry.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _value(entry: Range, place: float) -> int | float:
    low, high = float(entry.low), float(entry.high)
    return within(entry, low * (high / low) ** place if entry.log else low + place * (high - low))
