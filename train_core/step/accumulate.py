"""Gradient accumulation over micro-batches: add sums, divide once by the whole weight; pure.

Normalising once by the weight of all micro-batches is what makes any split of a batch give the full
batch's update (a mean of means does not, where weights differ). Gradients are vectors (..., P), lanes first.
"""

from __future__ import annotations

import mlx.core as mx

from train_core import device
from train_core.step.scalars import column, once
from train_core.step.vector import ALIGNED

ROWS = ALIGNED
"""In so many rows a GPU sums a lane's squares: a vector's length is a multiple of it."""


def add(buffer: mx.array, weight: mx.array, gradient: mx.array) -> mx.array:
    """Return the buffer of this weight with one micro-batch's gradient of the summed loss, in float32."""
    return content(buffer, weight) + gradient.astype(mx.float32)


def content(buffer: mx.array, weight: mx.array) -> mx.array:
    """Return what a buffer holds: without weight zeros, so an update need not write any."""
    return mx.where(column(weight > 0, buffer), buffer, 0.0)


def divisor(weight: mx.array | float) -> mx.array | float:
    """Return a weight to divide by: 1 for none. A number has to be positive and stays one."""
    return mx.where(weight > 0, weight, 1.0) if isinstance(weight, mx.array) else weight


def mean(summed: mx.array, weight: mx.array | float, threshold: mx.array | None = None) -> mx.array:
    """Return the gradient of the weighted mean loss, float32; zero where nothing had weight.

    With `threshold` it is scaled down to that norm, where its own is larger. Both are one factor, so that the
    gradient is read once for its norm and once by the optimizer.
    """
    factor = 1.0 / divisor(weight)
    if threshold is not None:
        factor = factor * mx.minimum(threshold / (norm(summed) * factor + 1e-6), 1.0)
    return summed.astype(mx.float32) * (
        column(once(factor), summed) if isinstance(factor, mx.array) else factor
    )


def norm(gradient: mx.array) -> mx.array:
    """Return the L2 norm of each gradient, summed in float32."""
    if gradient.dtype != mx.float32:
        # Another view of it, with a cast of its own: one for both readers would be written to memory.
        gradient = gradient.reshape(1, *gradient.shape).reshape(gradient.shape)
    squares = mx.square(gradient.astype(mx.float32))
    if squares.ndim > 1 and device.kind() == "gpu":  # one row a lane would keep few of its cores busy
        squares = squares.reshape(*squares.shape[:-1], ROWS, -1).sum(axis=-1)
    return mx.sqrt(squares.sum(axis=-1))
