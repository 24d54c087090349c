"""What `mlx.nn` cannot do with traced numbers: dropout and label smoothing whose rates are inputs."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn


class Dropout(nn.Module):
    """Dropout whose rate is an argument of the call and may be traced: `Dropout()(x, hp.dropout)`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __call__(self, x: mx.array, rate: mx.array | float) -> mx.array:
        if not self.training:
            return x
        keep = 1.0 - mx.array(rate, mx.float32)
        mask = mx.random.bernoulli(keep, x.shape)
        return x * (mask * (1.0 / keep)).astype(x.dtype)  # a product: the branch of a select mispredicts


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
