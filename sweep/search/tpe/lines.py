"""Trials in the order of each hyperparameter: a kernel is as wide as its farther neighbour is away."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.search.tpe.trials import Numbers

Array = NDArray[np.float64]

FINEST = 100
"""No kernel is narrower than this part of the range."""


MANY = 50
"""Where one in so many changes all are entered again, as arrays."""


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

    Trials that share a place stand in the order of their numbers. An ask changes one or two: lists take them
    in a tenth of the time that arrays would be made again in.
    """

    def __init__(self, count: int) -> None:
        self._lines: list[list[tuple[float, int]]] = [[] for _ in range(count)]
        self._count = 0

    def change(self, gone: Array, come: Array, numbers_gone: Numbers, numbers_come: Numbers) -> Changed:
        """Take trials out and in, by their places and numbers: (hyperparameters, trials)."""
        changes = come.shape[1] + gone.shape[1]
        self._count += come.shape[1] - gone.shape[1]
        if not self._lines or self._count < 2 * FINEST or MANY * changes > self._count:
            self._enter_many(set(numbers_gone.tolist()), come, numbers_come)
            return self._all()
        rows = []
        for line, its_gone, its_come in zip(self._lines, gone.tolist(), come.tolist(), strict=True):
            taken = list(zip(its_gone, numbers_gone.tolist(), strict=True))
            given = list(zip(its_come, numbers_come.tolist(), strict=True))
            for key in taken:
                del line[bisect_left(line, key)]
            for key in given:
                insort(line, key)
            beside = [(key, 2) for key in taken] + [(key, 3) for key in given]
            rows.append([each for key, n in beside for each in _kernels(line, bisect_left(line, key) - 1, n)])
        places, numbers, widths = np.array(rows).transpose(2, 0, 1)
        return Changed(numbers.astype(np.int64), places, widths)

    def _enter_many(self, gone: Container[int], come: Array, numbers: Numbers) -> None:
        for line, places in zip(self._lines, come.tolist(), strict=True):
            kept = [key for key in line if key[1] not in gone]
            line[:] = sorted([*kept, *zip(places, numbers.tolist(), strict=True)])

    def _all(self) -> Changed:
        """Every kernel; the ends of the range are no neighbours, but to a single trial."""
        if not self._count:
            nothing = np.zeros((len(self._lines), 0))
            return Changed(nothing.astype(np.int64), nothing, nothing)
        keys = np.array(self._lines, float).reshape(len(self._lines), self._count, 2)
        places = np.ascontiguousarray(keys[:, :, 0])
        apart = np.diff(places)
        none = np.zeros((len(places), 1))
        before, after = np.hstack([none, apart]), np.hstack([apart, none])
        widths = np.maximum(before, after) if self._count > 1 else 0.5 + np.abs(places)
        return Changed(
            keys[:, :, 1].astype(np.int64), places, np.maximum(widths, least_width(self._count + 1))
        )


def _kernels(line: list[tuple[float, int]], first: int, count: int) -> list[tuple[float, int, float]]:
    """The place, number and width of so many kernels in a row, from one on, or as near as there are any."""
    first = min(max(first, 0), len(line) - count)
    found, before = [], line[max(first - 1, 0)][0]
    for (place, number), (after, _) in zip(
        line[first : first + count], [*line[first + 1 : first + count + 1], line[-1]], strict=False
    ):
        found.append((place, number, max(place - before, after - place, 1 / FINEST)))
        before = place
    return found
