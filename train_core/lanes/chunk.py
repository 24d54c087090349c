"""Several steps planned and uploaded at once: indices, counts, masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core.data import index_sampler
from train_core.data.buckets import Buckets
from train_core.lanes.lane import LaneRun
from train_core.lanes.program import Kind


@dataclass(frozen=True)
class Chunk:
    """The next steps S of all lanes L; at width 1 the arrays of MLX have no lane axis.

    `order` (S, L, B), on the host: examples; `index[s]` (L, B): the same. `kinds[s]` says which function
    step s is, `masks[s]` what a MIXED one takes besides: how many examples count, update due, takes
    part, each (L,).
    `advanced` says how many micro-batches each lane does, `widths` how wide each step's padded fields are: as
    the widest bucket of the lanes that take part; None where examples have no lengths.
    """

    order: npt.NDArray[np.uint32]
    index: Sequence[mx.array]
    kinds: Sequence[Kind]
    masks: Sequence[Sequence[mx.array]]
    advanced: Mapping[int, int]
    widths: Sequence[int | None]


def plan(
    lanes: Mapping[int, LaneRun], to_go: Mapping[int, int], steps: int, width: int, *, at_widest: bool = False
) -> Chunk:
    """Plan the next `steps` micro-batches, lane i taking part in its first `to_go[i]`.

    Places without a run take part with any data: what they compute is discarded, and a step in which
    every run takes part needs no mask of lanes where none is due, or all are after each micro-batch.
    """
    advanced = {lane: max(0, min(to_go[lane], steps)) for lane in lanes}
    moving = {lane: n for lane, n in advanced.items() if n}
    index_sampler.fill([lanes[lane].wanted(n) for lane, n in moving.items()])
    held, places = list(lanes.values()), list(lanes)
    size = held[0].micro_batch_size
    order = np.zeros((steps, width, size), np.uint32)
    for lane, n in moving.items():
        order[:n, lane] = lanes[lane].indices(n)
    # All lanes at once: a loop over hundreds of them would take longer than a step on a GPU.
    done, total, k, examples, holds = (
        np.array(column)
        for column in zip(
            *(
                (lane.done, lane.total, lane.accumulation_steps, lane.length.examples, lane.holds)
                for lane in held
            ),
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
    everyone = active.all(axis=1)
    whole: Any = everyone & (count == size).all(axis=1) & (k == 1).all()
    whole[:1] &= not holds.any()  # accumulated before a change to 1: the first update takes it
    masked: Any = due.any(axis=1) | ~everyone
    kinds = [Kind.UPDATE if whole[n] else Kind.MIXED if masked[n] else Kind.ACCUMULATE for n in range(steps)]
    columns = [_uploaded(c) for c in ([count[:, 0]] if width == 1 else [count, due, active])]
    taken = {Kind.ACCUMULATE: 0, Kind.UPDATE: 0, Kind.MIXED: len(columns)}
    return Chunk(
        order=order,
        index=_rows(order if width > 1 else order[:, 0]),
        kinds=kinds,
        masks=[[c[step] for c in columns[: taken[kind]]] for step, kind in enumerate(kinds)],
        advanced=advanced,
        widths=_widths(held[0].sampler.buckets, order, places, moves, at_widest=at_widest),
    )


def _widths(
    buckets: Buckets | None,
    order: npt.NDArray[np.uint32],
    places: list[int],
    moves: npt.NDArray[np.bool_],
    *,
    at_widest: bool,
) -> Sequence[int | None]:
    if buckets is None:
        return [None] * len(order)
    if at_widest:
        return [buckets.widths[-1]] * len(order)
    taking_part = np.zeros(order.shape[:2], np.bool_)
    taking_part[:, places] = moves
    return buckets.steps(order, taking_part)


def _rows(order: npt.NDArray[np.uint32]) -> Sequence[mx.array]:
    """Return the rows of an array that is uploaded once: an upload for each cost 17 us a step on an H200."""
    # mx.split gives views; indexing would be a gather a row.
    rows: Any = mx.split(mx.array(order.reshape(-1, *order.shape[2:])), len(order))
    mx.async_eval(rows)
    return rows  # type: ignore[no-any-return]


def _uploaded(column: npt.NDArray[Any]) -> Sequence[mx.array]:
    """Return the rows, equal ones as one array: in most steps all lanes do what they did before."""
    held: dict[bytes, mx.array] = {}
    for row in column:
        if row.tobytes() not in held:
            held[row.tobytes()] = mx.array(row)
    return [held[row.tobytes()] for row in column]
