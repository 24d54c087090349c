"""Trials in the order of each hyperparameter: a kernel is as wide as its farther neighbour is away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.search.tpe.trials import Numbers

Array = NDArray[np.float64]

FINEST = 100
"""No kernel is narrower than this part of the range."""


def least_width(kernels: int) -> float:
    """The narrowest that any of so many kernels may be, the prior's counted, as a part of the range."""
    return 1 / min(FINEST, 1 + kernels)


class Changed(NamedTuple):
    """Kernels that are others now, the same number along each hyperparameter: (hyperparameters, kernels)."""

    numbers: Numbers
    places: Array
    widths: Array


class Lines:
    """The places of trials along some hyperparameters, in order, as trials come and go.

    Trials that share a place stand in the order of their numbers.
    """

    def __init__(self, count: int) -> None:
        # A complex number sorts by its real part, the place, and then by its imaginary one, the number.
        self._keys = np.empty((count, 0), np.complex128)

    def change(self, gone: Array, come: Array, numbers_gone: Numbers, numbers_come: Numbers) -> Changed:
        """Take trials out and in, by their places and numbers: (hyperparameters, trials)."""
        come, gone = np.sort(come + 1j * numbers_come), gone + 1j * numbers_gone
        count = self._keys.shape[1] - gone.shape[1] + come.shape[1]
        keys = np.empty((len(come), count), np.complex128)
        spots = np.empty(come.shape, np.int64)
        for axis, old in enumerate(self._keys):
            if gone.shape[1]:
                old = np.delete(old, np.searchsorted(old, gone[axis]))
            spots[axis] = np.searchsorted(old, come[axis]) + np.arange(come.shape[1])
            stays = np.ones(count, bool)
            stays[spots[axis]] = False
            keys[axis, stays], keys[axis, spots[axis]] = old, come[axis]
        self._keys = keys
        if gone.shape[1] or count < 2 * FINEST or 3 * come.shape[1] > count:
            return self._kernels(np.broadcast_to(np.arange(count), keys.shape))
        around = np.concatenate([spots - 1, spots, spots + 1], axis=1)
        return self._kernels(np.minimum(np.maximum(around, 0), count - 1))

    def _kernels(self, spots: Numbers) -> Changed:
        """At these spots of the order; the ends of the range are no neighbours, but to a single trial."""
        count, rows = self._keys.shape[1], np.arange(len(spots))[:, None]
        own = self._keys[rows, spots]
        before = self._keys.real[rows, np.maximum(spots - 1, 0)]
        after = self._keys.real[rows, np.minimum(spots + 1, count - 1)]
        places = own.real
        widths = np.maximum(places - before, after - places) if count > 1 else 0.5 + np.abs(places)
        return Changed(own.imag.astype(np.int64), places, np.maximum(widths, least_width(count + 1)))
