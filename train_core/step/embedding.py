"""An embedding whose gradient is the same in every run: sums in a fixed order, no atomic adds.

MLX computes the gradient of a gather by adding rows where they belong, all at once: on a GPU in any
order, so its last bits differ from run to run. Here rows are sorted by token and summed by a segmented
scan (Hillis and Steele 1986): log2(N) passes over N rows, whatever the size of the vocabulary.
"""

from __future__ import annotations

from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn


class Embedding(nn.Embedding):
    """`nn.Embedding` with the same results and a repeatable gradient, at some cost in speed."""

    def __call__(self, x: mx.array) -> mx.array:
        return lookup(self.weight, x)


# A custom function, since the gradient of `table[index]` is MLX's scatter-add whatever stands around it.
@mx.custom_function
def _gather(table: mx.array, index: mx.array) -> mx.array:
    return table[index]


@_gather.vjp
def _gather_vjp(primals: Any, cotangent: mx.array, _: mx.array) -> tuple[mx.array, mx.array]:
    table, index = primals
    summed = segment_sum(cotangent.reshape(-1, table.shape[1]), index.reshape(-1), table.shape[0])
    return summed.astype(table.dtype), mx.zeros_like(index)


def lookup(table_VxD: mx.array, index: mx.array) -> mx.array:
    """Return the rows of the table at `index` (...), (..., D); negative indices count from the end."""
    rows: Any = _gather(table_VxD, index)
    return cast(mx.array, rows)


def segment_sum(rows_NxD: mx.array, segment_N: mx.array, segments: int) -> mx.array:
    """Return float32 (segments, D): the sum of the rows of each segment, always in the same order."""
    segment = segment_N.astype(mx.int32)
    segment = mx.where(segment < 0, segment + segments, segment)
    order = mx.argsort(segment)
    segment, total = segment[order], rows_NxD[order].astype(mx.float32)
    reach = 1  # every row holds the sum of its segment over the `reach` rows that end with it
    while reach < len(segment):
        same = mx.expand_dims(segment[reach:] == segment[:-reach], 1)
        total = mx.concatenate([total[:reach], total[reach:] + mx.where(same, total[:-reach], 0.0)])
        reach *= 2
    last = mx.concatenate([segment[1:] != segment[:-1], mx.array([True])])
    # Each segment's last row is written once; the others go to a row that is cut off.
    place = mx.where(last, segment, segments)
    summed = mx.zeros((segments + 1, rows_NxD.shape[1]), mx.float32)
    summed[place] = total
    return summed[:segments]


class SmallEmbedding(nn.Embedding):
    """`nn.Embedding` on a GPU: of few rows the gradient is one product.

    MLX adds rows into the table all at once. Where thousands of tokens meet on a hundred rows, they wait for
    each other longer than a product with their one-hot vectors takes.
    """

    def __call__(self, x: mx.array) -> mx.array:
        if len(self.weight) > FEW:
            return self.weight[x]  # as nn.Embedding
        rows: Any = _gather_few(self.weight, x)
        return cast(mx.array, rows)


FEW = 512
"""Rows up to which the product costs next to nothing."""


@mx.custom_function
def _gather_few(table: mx.array, index: mx.array) -> mx.array:
    return table[index]


@_gather_few.vjp
def _gather_few_vjp(primals: Any, cotangent: mx.array, _: mx.array) -> tuple[mx.array, mx.array]:
    table, index = primals
    place = index.reshape(1, -1).astype(mx.int32)  # first operand and of two dimensions: lanes stay first
    place = mx.where(place < 0, place + len(table), place)
    hits = (place == mx.arange(len(table)).reshape(-1, 1)).astype(cotangent.dtype)
    summed = hits @ cotangent.reshape(-1, table.shape[1])
    return summed.astype(table.dtype), mx.zeros_like(index)
