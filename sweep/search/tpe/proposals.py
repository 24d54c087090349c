"""Hyperparameters that TPE draws together, for many trials at once: candidates, and the best for each."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from sweep.search.tpe.axes import Axes
from sweep.search.tpe.mixture import Mixture
from sweep.search.tpe.trials import Mask, Numbers, Rows

Array = NDArray[np.float64]


class Block:
    """Hyperparameters that are drawn together, and the mixtures of a study's trials over them."""

    def __init__(self, distributions: Mapping[str, BaseDistribution], rows: Rows) -> None:
        self.rows = rows
        self._axes = Axes(distributions)
        self._good, self._bad = Mixture(self._axes), Mixture(self._axes)
        self._name = crc32("\0".join(distributions).encode())
        self._stream: Stream | None = None

    def hold(self, good: Mask, bad: Mask, running: Numbers) -> None:
        """Tell good trials from bad ones, by number; all of these have `rows`."""
        self._good.hold(good, self.rows)
        self._bad.hold(bad, self.rows)
        if len(running):
            self._bad.run(self._bad.running(self._axes.coordinates(self.rows.columns(running))))

    def candidates(self, seed: int, first: int, trials: int, each: int) -> Candidates:
        """So many for `each` of the trials from number `first` on: a trial has the same in any company."""
        if self._stream is None or self._stream.seed != seed:
            self._stream = Stream(seed, self._name)
        chances = self._stream.numbers(first, trials, each * (1 + self._axes.count))
        by_axis = chances.reshape(trials, -1, each).swapaxes(0, 1).reshape(-1, trials * each)
        return Candidates(self._axes, self._good, self._bad, self._good.drawn(by_axis), each)


class Stream:
    """Random numbers in which each trial has a place: what it draws depends on nothing but its number."""

    def __init__(self, seed: int, name: int) -> None:
        self.seed = seed
        self._philox = np.random.Philox(np.random.SeedSequence([seed, name]))
        self._generator = np.random.Generator(self._philox)
        self._start = self._philox.state

    def numbers(self, first: int, trials: int, each: int) -> Array:
        """From 0 to 1, so many for `each` trial: (trials, each)."""
        steps = -(-each // WORDS)
        self._start["state"]["counter"][0] = first * steps
        self._philox.state = self._start
        return self._generator.random((trials, steps * WORDS))[:, :each]


WORDS = 4
"""A step of Philox's counter gives so many numbers."""


TIE = 1e-4
"""Gains no farther apart than this are equal, and the first one counts: sums of many numbers are rounded."""


class Candidates:
    """Points that may become trials; each trial in turn takes the best of its own."""

    def __init__(self, axes: Axes, good: Mixture, bad: Mixture, coordinates: Array, each: int) -> None:
        self._axes = axes
        self._coordinates = coordinates
        self._each = each
        self._bad = bad
        features = axes.features(coordinates)
        self._points = bad.scaled(features)
        self._prior = good.prior(coordinates)
        self._log_good = np.log(good.density(good.scaled(features)) + self._prior)
        is_alone = coordinates.shape[1] == each  # no trial comes after it
        self._kernels = None if is_alone else bad.running(coordinates)

    def values(self, place: int) -> Array:
        """All of the trial at this place, in Optuna's own numbers: (hyperparameters, candidates)."""
        points = self._coordinates[:, self._own(place)].T.tolist()
        return np.array([self._axes.values(each) for each in points]).T

    def take(self, place: int, more: Array | None = None, *, runs: bool = True) -> list[float]:
        """The best one of the trial at this place, by its gain and `more`; from now on it `runs`."""
        own = self._own(place)
        gains = self._log_good[own] - np.log(self._bad.density(self._points[own]) + self._prior[own])
        if more is not None:
            gains += more
        best = own.start + int((gains >= gains.max() - TIE).argmax())
        if runs and self._kernels is not None:
            self._bad.run(self._kernels[:, best : best + 1])
        return self._axes.values(self._coordinates[:, best].tolist())

    def _own(self, place: int) -> slice:
        return slice(place * self._each, (place + 1) * self._each)
