"""Gradient accumulation over micro-batches: add sums, divide once by the whole weight; pure.

Normalising once by the weight of all micro-batches is what makes any split of a batch give the full
batch's update (a mean of means does not, where weights differ).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import mlx.core as mx

from train_core.step.scalars import beside

Flat = dict[str, mx.array]


def zeros(parameters: Mapping[str, mx.array]) -> Flat:
    """Return an empty accumulation buffer: float32 whatever the parameters are."""
    return {path: mx.zeros(leaf.shape, mx.float32) for path, leaf in parameters.items()}


def add(
    buffer: Mapping[str, mx.array],
    weight: mx.array,
    gradients: Mapping[str, mx.array],
    *,
    mapped: bool = False,
) -> Flat:
    """Return the buffer of this weight with one micro-batch's gradient of the summed loss.

    `mapped` says that this is traced under `mx.vmap` (see `scalars.beside`).
    """
    held = content(buffer, weight, mapped=mapped)
    return {path: total + gradients[path].astype(mx.float32) for path, total in held.items()}


def content(buffer: Mapping[str, mx.array], weight: mx.array, *, mapped: bool = False) -> Flat:
    """Return what a buffer holds: without weight zeros, so an update need not write any."""
    begun = weight > 0
    return {path: mx.where(beside(w, begun, mapped=mapped), w, 0.0) for path, w in buffer.items()}


def mean(buffer: Mapping[str, mx.array], weight: mx.array, threshold: mx.array | None = None) -> Flat:
    """Return the gradient of the buffer's weighted mean loss; zero where nothing had weight.

    With `threshold` all are scaled down to that global norm, where theirs is larger. Both are one
    factor, so that the buffer is read once for its norm and once by the optimizer.
    """
    factor = 1.0 / mx.where(weight > 0, weight, 1.0)
    if threshold is not None:
        factor = factor * mx.minimum(threshold / (global_norm(buffer) * factor + 1e-6), 1.0)
    return {path: total.astype(mx.float32) * factor for path, total in buffer.items()}


def global_norm(gradients: Mapping[str, mx.array]) -> mx.array:
    """Return the L2 norm over all gradients.

    Each is flattened before it is summed: a whole-tensor reduction of a transposed array inside a
    compiled function differs in its last bits from the same reduction in a batch of lanes. Squared
    before that, so that the squares come out of the kernel that adds the gradients up.
    """
    squares = (mx.square(gradient) for gradient in gradients.values())
    flat = (square.reshape(-1) if square.ndim > 1 else square for square in squares)
    return mx.sqrt(reduce(mx.add, (square.sum() for square in flat)))
