"""Several steps planned at once on the host: indices, counts, masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import data
from train_core.lane import Lane
from train_core.program import Kind


@dataclass(frozen=True)
class Chunk:
    """The next steps S of all lanes L, on the host.

    `order` (S, L, B): examples; `columns`: how many of them count, update due, takes part, each (S, L), at
    width 1 the count alone and no lane axis. `kinds[s]` says which function step s is; `advanced` how
    many micro-batches each lane does.
    """

    order: npt.NDArray[np.uint32]
    columns: tuple[npt.NDArray[Any], ...]
    kinds: Sequence[Kind]
    advanced: Mapping[int, int]

    def index(self, step: int) -> mx.array:
        """Return the examples of one step, (B,) at width 1, else (L, B).

        Copied row by row: taking rows from one array on the device costs two operations each.
        """
        rows = self.order[step]
        return mx.array(rows if len(rows) > 1 else rows[0])

    def masks(self, step: int) -> list[mx.array]:
        """Return what the function of one step takes besides state, hyperparameters, data and index."""
        wanted = {Kind.ACCUMULATE: 0, Kind.UPDATE: 1, Kind.MIXED: len(self.columns)}[self.kinds[step]]
        return [mx.array(column[step]) for column in self.columns[:wanted]]


def plan(lanes: Mapping[int, Lane], to_go: Mapping[int, int], steps: int, width: int) -> Chunk:
    """Plan the next `steps` micro-batches, lane i taking part in its first `to_go[i]`.

    Places without a run take part with any data: what they compute is nobody's, and a step in which
    every run takes part needs no mask of lanes where none is due, or all are after each micro-batch.
    """
    advanced = {lane: max(0, min(to_go[lane], steps)) for lane in lanes}
    moving = {lane: n for lane, n in advanced.items() if n}
    data.fill([lanes[lane].wanted(n) for lane, n in moving.items()])
    size = next(iter(lanes.values())).micro_batch_size
    index = np.zeros((steps, width, size), np.uint32)
    count = np.full((steps, width), size, np.float32)
    due = np.zeros((steps, width), np.bool_)
    active = np.ones((steps, width), np.bool_)
    for lane, n in advanced.items():
        active[n:, lane] = False
        if n:
            index[:n, lane] = lanes[lane].indices(n)
            count[:n, lane] = lanes[lane].counts(n)
            due[:n, lane] = lanes[lane].due(n)
    all_active, at_once = active.all(axis=1), all(lane.accumulation_steps == 1 for lane in lanes.values())
    mixed = np.logical_or(due.any(axis=1), ~all_active)
    kinds = [
        Kind.UPDATE if at_once and everyone else Kind.MIXED if some else Kind.ACCUMULATE
        for everyone, some in zip(all_active, mixed, strict=True)
    ]
    if width == 1:
        return Chunk(index, (count[:, 0],), kinds, advanced)
    return Chunk(index, (count, due, active), kinds, advanced)
