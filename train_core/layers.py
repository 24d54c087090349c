"""What `mlx.nn` cannot do with traced numbers: dropout and label smoothing whose rates are inputs."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from train_core import keys

BLOCK = 32
"""Positions whose mask one key draws."""


class Dropout(nn.Module):
    """Dropout whose rate is an argument of the call and may be traced: `Dropout()(x, hp.dropout)`.

    Where x is (B, T, ...) with positions padded to T, `Dropout().padded(x, rate)` draws what T does not
    change: a lane whose batch is padded to its neighbour's width drops what it drops alone.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __call__(self, x: mx.array, rate: mx.array | float) -> mx.array:
        if not self.training:
            return x
        keep = 1.0 - mx.array(rate, mx.float32)
        return _dropped(x, mx.random.bernoulli(keep, x.shape), keep)

    def padded(self, x: mx.array, rate: mx.array | float) -> mx.array:
        """Drop values of (B, T, ...), the first positions the same whatever T is."""
        if not self.training:
            return x
        keep = 1.0 - mx.array(rate, mx.float32)
        return _dropped(x, _by_position(keep, x.shape), keep)


def _dropped(x: mx.array, mask: mx.array, keep: mx.array) -> mx.array:
    return x * (mask * (1.0 / keep)).astype(x.dtype)  # a product: the branch of a select mispredicts


def _by_position(keep: mx.array, shape: tuple[int, ...]) -> mx.array:
    """A mask (B, T, ...) in blocks of positions under keys of their own, so that more of them change none."""
    examples, positions, *rest = shape
    blocks = -(-positions // BLOCK)
    key = mx.random.randint(0, 2**31 - 1, (2,), mx.uint32)

    def draw(block: mx.array) -> mx.array:
        return mx.random.bernoulli(keep, (examples, BLOCK, *rest), key=keys.fold_in(key, block))

    mapped: Any = mx.vmap(draw)
    drawn: mx.array = mapped(mx.arange(blocks, dtype=mx.uint32))
    joined = drawn.swapaxes(0, 1).reshape(examples, blocks * BLOCK, *rest)
    return joined[:, :positions]


def cross_entropy(logits: mx.array, targets: mx.array, label_smoothing: mx.array | float = 0.0) -> mx.array:
    """Return the cross-entropy of each example in float32: logits (..., C), class indices (...).

    With smoothing s the target is 1 - s on the class and s spread evenly over all; s may be traced.
    """
    logits = logits.astype(mx.float32)
    if not isinstance(label_smoothing, mx.array) and label_smoothing == 0:
        return mx.fast.cross_entropy(logits, targets)  # on a GPU one kernel, and one for the gradient
    score = mx.take_along_axis(logits, mx.expand_dims(targets, -1), -1).squeeze(-1)
    smoothed = (1.0 - label_smoothing) * score + label_smoothing * logits.mean(axis=-1)
    return mx.logsumexp(logits, axis=-1) - smoothed
