"""A BatchNorm with a gradient of its own: two sums over the activations, the definition takes eight; pure.

Written so that lanes stay first and no constant meets whole activations under `mx.vmap`: the activations are
the first operand, numbers are applied to a channel's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm` with the same results, in float32 at any precision of its input."""

    def __call__(self, x: mx.array) -> mx.array:
        if not self.training or x.ndim not in (2, 3, 4) or x.size == x.shape[-1]:
            normed: mx.array = super().__call__(x.astype(mx.float32))  # with its own complaints
            return normed.astype(x.dtype)
        channels = x.shape[-1]
        weight = self.weight if "weight" in self else mx.ones((channels,))
        bias = self.bias if "weight" in self else mx.zeros((channels,))
        y, mean, variance = _normalise(self.eps)(x, weight, bias)
        if self.track_running_stats:
            count, mu = x.size // channels, self.momentum
            unbiased = mx.stop_gradient(variance) * (count / (count - 1))
            self.running_mean = (1 - mu) * self.running_mean + mu * mx.stop_gradient(mean)
            self.running_var = (1 - mu) * self.running_var + mu * unbiased
        return y  # type: ignore[no-any-return]


@cache
def _normalise(eps: float) -> Any:
    """Return (x, weight, bias) -> y, mean, variance: activations (..., C) and the values of channels (C,)."""

    @mx.custom_function
    def normalise(x: mx.array, weight: mx.array, bias: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        axes = tuple(range(x.ndim - 1))
        wide = x.astype(mx.float32)
        mean = wide.mean(axis=axes)
        centred = wide - mean
        variance = (centred * centred).mean(axis=axes)
        scale = mx.rsqrt(variance + eps) * weight.astype(mx.float32)
        return (centred * scale + bias.astype(mx.float32)).astype(x.dtype), mean, variance

    @normalise.vjp
    def gradients(
        primals: Sequence[mx.array], cotangents: Sequence[mx.array], outputs: Sequence[mx.array]
    ) -> tuple[mx.array, ...]:
        (x, weight, bias), (_, mean, variance) = primals, outputs
        # As rows, so that the compiler does not find the forward pass in it and keep float32 values for that.
        rows, back = (a.reshape(-1, x.shape[-1]).astype(mx.float32) for a in (x, cotangents[0]))
        inverse, share = mx.rsqrt(variance + eps), 1.0 / len(rows)
        normed = (rows - mean) * inverse
        to_bias, to_weight = back.sum(axis=0), (back * normed).sum(axis=0)
        to_rows = (back - to_bias * share - normed * (to_weight * share)) * (inverse * weight)
        return (
            to_rows.astype(x.dtype).reshape(x.shape),
            to_weight.astype(weight.dtype),
            to_bias.astype(bias.dtype),
        )

    return normalise
