"""Arithmetic in lanes, so that constants stay constants and lanes stay first; pure.

Under `mx.vmap` a number beside an array (`0.5 * x`, the 1 in the gradient of `tanh`) becomes an array of its
size that is read through strides, and a vector before a larger array (`weight * x`) moves the lanes to the
last axis but one. On a GPU either costs more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mlx.core as mx

from train_core.vmap.custom import in_lanes

Function = Callable[..., Any]

UNARY = (
    "abs",
    "erf",
    "expm1",
    "log10",
    "log1p",
    "log2",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "sqrt",
    "square",
    "tanh",
)
"""Functions of one array with constants in their gradients."""

BINARY = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "maximum",
    "minimum",
    "logaddexp",
    "remainder",
    "floor_divide",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
)

OPERATORS = (
    "__add__",
    "__radd__",
    "__sub__",
    "__rsub__",
    "__mul__",
    "__rmul__",
    "__truediv__",
    "__rtruediv__",
    "__pow__",
    "__rpow__",
    "__gt__",
    "__ge__",
    "__lt__",
    "__le__",
)

_where, _var, _clip = mx.where, mx.var, mx.clip  # taken at import, before any rule stands in their place


def apart(function: Function, *arrays: mx.array) -> mx.array:
    """Return an elementwise function of arrays, in lanes computed on the arrays of all lanes."""

    def together(lanes: Sequence[mx.array], mapped: Sequence[bool]) -> mx.array:
        own = [a.ndim - m for a, m in zip(lanes, mapped, strict=True)]
        dims = max(own)
        wide = (
            a.reshape((len(a), *(1,) * (dims - n), *a.shape[1:])) if m and n < dims else a
            for a, m, n in zip(lanes, mapped, own, strict=True)
        )
        return function(*wide)  # type: ignore[no-any-return]

    return in_lanes(function, together)(*arrays)


def unary(native: Function) -> Function:
    """Return the rule of a function of one array."""

    def rule(a: Any, /, *, stream: Any = None) -> Any:
        return apart(native, a) if isinstance(a, mx.array) and a.ndim else native(a)

    return rule


def binary(native: Function) -> Function:
    """Return the rule of a function of two operands: numbers stay numbers, the smaller array gets axes."""

    def rule(a: Any, b: Any, /, *, stream: Any = None) -> Any:
        if _is_number(b) and isinstance(a, mx.array) and a.ndim:
            return apart(lambda a: native(a, b), a)
        if _is_number(a) and isinstance(b, mx.array) and b.ndim:
            return apart(lambda b: native(a, b), b)
        if not isinstance(a, mx.array) or not isinstance(b, mx.array) or a.ndim == b.ndim:
            return native(a, b)
        if not a.ndim or not b.ndim:
            return apart(native, a, b)
        dims = max(a.ndim, b.ndim)
        return native(_widened(a, dims), _widened(b, dims))

    return rule


def where(condition: Any, x: Any, y: Any, /, *, stream: Any = None) -> Any:
    """`mx.where`, whose gradient selects from a constant zero."""
    branches = [b for b in (x, y) if isinstance(b, mx.array)]
    if not isinstance(condition, mx.array) or not any(a.ndim for a in (condition, *branches)):
        return _where(condition, x, y)

    def function(condition: mx.array, *branches: mx.array) -> mx.array:
        left = list(branches)
        chosen = (left.pop(0) if isinstance(b, mx.array) else b for b in (x, y))
        return _where(condition, *chosen)

    return apart(function, condition, *branches)


def clip(a: Any, a_min: Any, a_max: Any, *, stream: Any = None) -> Any:
    """`mx.clip` between numbers."""
    numbers = all(bound is None or _is_number(bound) for bound in (a_min, a_max))
    if not numbers or not isinstance(a, mx.array) or not a.ndim:
        return _clip(a, a_min, a_max)
    return apart(lambda a: _clip(a, a_min, a_max), a)


def var(
    a: mx.array,
    /,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    ddof: int = 0,
    *,
    stream: Any = None,
) -> mx.array:
    """`mx.var` by its definition, for the square inside it that all activations of a BatchNorm go through."""
    if not mx.issubdtype(a.dtype, mx.floating):
        return _var(a, axis, keepdims, ddof)
    axes = range(a.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    count = math.prod(a.shape[i] for i in axes)
    squares = apart(mx.square, a - mx.mean(a, axis=list(axes), keepdims=True))
    total = mx.sum(squares, axis=list(axes), keepdims=keepdims)
    return total / max(count - ddof, 0) if ddof else total * (1.0 / count)


def rules() -> Iterator[tuple[Any, str, Function]]:
    """Every function of MLX that gets a rule here: where it stands, its name, the rule."""
    for name in UNARY:
        yield mx, name, unary(getattr(mx, name))
    for name in BINARY:
        yield mx, name, binary(getattr(mx, name))
    for name in OPERATORS:
        yield mx.array, name, binary(getattr(mx.array, name))
    yield mx, "where", where
    yield mx, "clip", clip
    yield mx, "var", var


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float)


def _widened(a: mx.array, dims: int) -> mx.array:
    return a.reshape((*(1,) * (dims - a.ndim), *a.shape)) if a.ndim < dims else a
