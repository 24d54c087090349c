"""Activations of `mlx.nn` on a GPU: in float32 inside one kernel, and one for the gradient; pure.

The compiler keeps what forward and backward share, so a GELU writes its inner values to memory and reads them
again. Here the gradient is computed again from the input. Below float32 nothing is rounded in between.

The compiler also cuts a kernel after eleven operations in a row, and hands the rest over through memory. Each
formula here, casts and the product with the gradient included, stays within that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.nn.layers import activations as layers

from train_core.vmap.custom import in_lanes

Function = Callable[[mx.array], mx.array]

_APPROXIMATE, _CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715
"""Of the argument of the sigmoid that equals (1 + tanh) / 2 in the approximate GELU."""


def fused(
    native: Callable[..., mx.array], function: Function, pulled: Callable[[mx.array, mx.array], mx.array]
) -> Callable[..., mx.array]:
    """Return the rule of an activation; `pulled` is its slope times a gradient. Both are of float32."""

    @mx.custom_function
    def activate(x: mx.array) -> mx.array:
        return function(x.astype(mx.float32)).astype(x.dtype)

    def gradient(out: mx.array, x: mx.array) -> mx.array:
        # Flattened, so that the compiler does not find the forward pass in it and keep that for it.
        flat, back = x.reshape(-1).astype(mx.float32), out.reshape(-1).astype(mx.float32)
        return pulled(flat, back).astype(x.dtype).reshape(x.shape)

    def together(lanes: Sequence[mx.array], mapped: Sequence[bool]) -> mx.array:
        out, x = lanes
        if not all(mapped):
            out, x = mx.broadcast_arrays(out, x)
        return gradient(out, x)

    @activate.vjp
    def vjp(primals: Any, out: mx.array, _: mx.array) -> mx.array:
        return in_lanes(gradient, together)(out, primals[0] if isinstance(primals, list | tuple) else primals)

    @activate.vmap
    def rule(arrays: Any, axes: Any) -> tuple[mx.array, int]:
        (x,), (axis,) = (arrays, axes) if isinstance(arrays, list | tuple) else ((arrays,), (axes,))
        found: Any = activate(mx.moveaxis(x, axis, 0))
        return found, 0

    def called(x: mx.array) -> mx.array:
        if not mx.issubdtype(x.dtype, mx.floating) or not x.ndim:
            return native(x)
        found: Any = activate(x)
        return found  # type: ignore[no-any-return]

    return called


def rules() -> Iterator[tuple[Any, str, Callable[..., mx.array]]]:
    """Every activation that gets a rule here, where layers and where tasks find it."""
    for name, (function, pulled) in _KNOWN.items():
        rule = fused(getattr(nn, name), function, pulled)
        yield nn, name, rule
        yield layers, name, rule


def _gelu(x: mx.array) -> mx.array:
    return 0.5 * x * (1 + mx.erf(x * math.sqrt(0.5)))


def _gelu_pulled(x: mx.array, back: mx.array) -> mx.array:
    bell = x * mx.exp(-0.5 * mx.square(x)) * (1 / math.sqrt(2 * math.pi))
    return back * (0.5 * (1 + mx.erf(x * math.sqrt(0.5))) + bell)


def _gelu_approx(x: mx.array) -> mx.array:
    return x * mx.sigmoid(x * (_APPROXIMATE + _APPROXIMATE * _CUBIC * mx.square(x)))


def _gelu_approx_pulled(x: mx.array, back: mx.array) -> mx.array:
    squared = mx.square(x)
    s = mx.sigmoid(x * (_APPROXIMATE + _APPROXIMATE * _CUBIC * squared))
    inner = x * (_APPROXIMATE + 3 * _APPROXIMATE * _CUBIC * squared)
    return (back * s) * (1 + inner * (1 - s))


def _silu(x: mx.array) -> mx.array:
    return x * mx.sigmoid(x)


def _silu_pulled(x: mx.array, back: mx.array) -> mx.array:
    s = mx.sigmoid(x)
    return (back * s) * (1 + x * (1 - s))


_KNOWN: dict[str, tuple[Function, Callable[[mx.array, mx.array], mx.array]]] = {
    "gelu": (_gelu, _gelu_pulled),
    "gelu_approx": (_gelu_approx, _gelu_approx_pulled),
    "silu": (_silu, _silu_pulled),
}
