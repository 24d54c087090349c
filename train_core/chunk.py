"""Several steps planned at once on the host: indices, counts, masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import data
from train_core.lane import Lane


@dataclass(frozen=True)
class Chunk:
    """The next steps S of all lanes L, on the host.

    `order` (S, L, B): examples; `columns`: how many of them count, update due, takes part, each (S, L), at
    width 1 the count alone and no lane axis. `updates[s]` says which function step s is; `advanced` how
    many micro-batches each lane does.
    """

    order: npt.NDArray[np.uint32]
    columns: tuple[npt.NDArray[Any], ...]
    updates: npt.NDArray[np.bool_]
    advanced: Mapping[int, int]

    def index(self, step: int) -> mx.array:
        """Return the examples of one step, (B,) at width 1, else (L, B).

        Copied row by row: taking rows from one array on the device costs two operations each.
        """
        rows = self.order[step]
        return mx.array(rows if len(rows) > 1 else rows[0])

    def masks(self, step: int) -> list[mx.array]:
        """Return what an updating function takes besides: nothing when the step has no update."""
        return [mx.array(mask[step]) for mask in self.columns] if self.updates[step] else []


def plan(lanes: Mapping[int, Lane], to_go: Mapping[int, int], steps: int, width: int) -> Chunk:
    """Plan the next `steps` micro-batches, lane i taking part in its first `to_go[i]`.

    Places without a run take part with any data: what they compute is nobody's, and a step in which
    every run takes part and none is due needs no mask.
    """
    advanced = {lane: max(0, min(to_go[lane], steps)) for lane in lanes}
    moving = {lane: n for lane, n in advanced.items() if n}
    data.fill([lanes[lane].wanted(n) for lane, n in moving.items()])
    held, places = list(lanes.values()), list(lanes)
    size = held[0].micro_batch_size
    index = np.zeros((steps, width, size), np.uint32)
    for lane, n in moving.items():
        index[:n, lane] = lanes[lane].indices(n)
    # All lanes at once: a loop over hundreds of them would take longer than a step on a GPU.
    done, total, k, examples = (
        np.array(column)
        for column in zip(
            *((lane.done, lane.total, lane.accumulation_steps, lane.length.examples) for lane in held),
            strict=True,
        )
    )
    step = np.arange(steps)[:, None]
    after, moves = done + step + 1, step < np.array([advanced[lane] for lane in places])
    count = np.full((steps, width), size, np.float32)
    due = np.zeros((steps, width), np.bool_)
    active = np.ones((steps, width), np.bool_)
    count[:, places] = np.where(moves & (after == total), examples - (total - 1) * size, size)
    due[:, places] = moves & ((after % k == 0) | (after == total))
    active[:, places] = moves
    updates = np.logical_or(due.any(axis=1), ~active.all(axis=1))
    if width == 1:
        return Chunk(index, (count[:, 0],), updates, advanced)
    return Chunk(index, (count, due, active), updates, advanced)
