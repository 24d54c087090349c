"""Gradient accumulation over micro-batches: add sums, divide once by the whole weight; pure.

Normalising once by the weight of all micro-batches is what makes any split of a batch give the full
batch's update (a mean of means does not, where weights differ). Gradients are vectors (..., P), lanes first.
"""

from __future__ import annotations

import mlx.core as mx

from train_core.step.scalars import column, once


def add(buffer: mx.array, weight: mx.array, gradient: mx.array) -> mx.array:
    """Return the buffer of this weight with one micro-batch's gradient of the summed loss, in float32."""
    return content(buffer, weight) + gradient.astype(mx.float32)


def content(buffer: mx.array, weight: mx.array) -> mx.array:
    """Return what a buffer holds: without weight zeros, so an update need not write any."""
    return mx.where(column(weight > 0, buffer), buffer, 0.0)


def mean(summed: mx.array, weight: mx.array, threshold: mx.array | None = None) -> mx.array:
    """Return the gradient of the weighted mean loss, float32; zero where nothing had weight.

    With `threshold` it is scaled down to that norm, where its own is larger. Both are one factor, so that the
    gradient is read once for its norm and once by the optimizer.
    """
    factor = 1.0 / mx.where(weight > 0, weight, 1.0)
    if threshold is not None:
        factor = factor * mx.minimum(threshold / (norm(summed) * factor + 1e-6), 1.0)
    return summed.astype(mx.float32) * column(once(factor), summed)


def norm(gradient: mx.array) -> mx.array:
    """Return the L2 norm of each gradient, summed in float32."""
    return mx.sqrt(mx.square(gradient.astype(mx.float32)).sum(axis=-1))
