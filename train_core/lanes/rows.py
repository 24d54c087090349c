"""Rows of the arrays that all lanes share: put in their places, and draws that begin again."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

from train_core import keys


def put(leaf: mx.array, rows: mx.array, fresh: mx.array) -> mx.array:
    """Take the fresh lanes from `rows`; selected, since a GPU scatters no 64-bit integers."""
    return mx.where(fresh.reshape(-1, *[1] * (leaf.ndim - 1)), rows, leaf)


def renewed(
    held: Mapping[str, mx.array], width: int, runs: Mapping[int, tuple[tuple[int, int], int]]
) -> dict[str, mx.array]:
    """Return the lanes' keys to draw under, renewed for `runs`: lane -> its run's key and micro-batches."""
    parents = mx.array([key for key, _ in runs.values()], mx.uint32)
    fresh = streams(parents, mx.array([done for _, done in runs.values()], mx.uint32))
    if width == 1:
        return {name: rows[0] for name, rows in fresh.items()}
    row_of = {lane: row for row, lane in enumerate(runs)}
    order = mx.array([row_of.get(lane, 0) for lane in range(width)])
    fresh_lanes = mx.array([lane in row_of for lane in range(width)])
    return {name: put(leaf, fresh[name][order], fresh_lanes) for name, leaf in held.items()}


def streams(parents: mx.array, positions: mx.array) -> dict[str, mx.array]:
    """Return from where runs under these keys (n, 2) draw after so many micro-batches (n,) of another run.

    It is `fold_in(stream, position)`, a function of the two alone: a copied run and its replay draw the same.
    """

    def of_one(parent: mx.array, position: mx.array) -> dict[str, mx.array]:
        constants = {"dropout": keys.DROPOUT, "augment": keys.AUGMENT}
        return {
            name: keys.fold_in(keys.fold_in(parent, constant), position)
            for name, constant in constants.items()
        }

    found: dict[str, mx.array] = mx.vmap(of_one)(parents, positions)
    return found
