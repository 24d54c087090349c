"""Several steps planned at once on the host and uploaded together: indices, counts, masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import data
from train_core.lane import Lane


@dataclass(frozen=True)
class Chunk:
    """The next steps S of all lanes L; at width 1 there is no lane axis and no mask but the count.

    `index` (S, L, B), on the host `order`; `masks`: examples that count, update due, takes part, each (S, L).
    `updates[s]` says which function step s is; `advanced` how many micro-batches each lane does.
    """

    order: npt.NDArray[np.uint32]
    index: mx.array
    masks: tuple[mx.array, ...]
    updates: npt.NDArray[np.bool_]
    advanced: Mapping[int, int]


def plan(lanes: Mapping[int, Lane], to_go: Mapping[int, int], steps: int, width: int) -> Chunk:
    """Plan the next `steps` micro-batches, lane i taking part in its first `to_go[i]`.

    Places without a run take part with any data: what they compute is nobody's, and a step in which
    every run takes part and none is due needs no mask.
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
    updates = np.logical_or(due.any(axis=1), ~active.all(axis=1))
    if width == 1:
        return Chunk(index, mx.array(index[:, 0]), (mx.array(count[:, 0]),), updates, advanced)
    masks = mx.array(count), mx.array(due), mx.array(active)
    return Chunk(index, mx.array(index), masks, updates, advanced)
