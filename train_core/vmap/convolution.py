"""Convolutions in lanes, pure: `mx.vmap` cannot map their weight gradient.

On the CPU every lane is computed by itself, so that it equals its run alone bit for bit. On a GPU all
lanes share one batched matrix product over the windows of the input (im2col), equal to rounding. Not
mapped it is a product too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mlx.core as mx

from train_core import device
from train_core.vmap import im2col
from train_core.vmap.im2col import Geometry

Axes = Sequence[int | None]


def in_lanes(x: mx.array, w: mx.array, geometry: Geometry) -> mx.array:
    """Return the convolution in a form that maps over lanes, its gradients too."""
    dtype = mx.result_type(x, w)
    x, w = geometry.cut(x.astype(dtype)), w.astype(dtype)
    geometry = geometry.without_cuts
    spatial, kernel = tuple(x.shape[1:-1]), tuple(w.shape[1:-1])

    # The gradients through mx.vjp at zeros: a convolution is linear in each operand, so any point will do.
    def input_gradient(out: mx.array, w: mx.array) -> mx.array:
        like = mx.zeros((out.shape[0], *spatial, w.shape[-1] * geometry.groups), out.dtype)
        return mx.vjp(lambda x: geometry.convolve(x, w), [like], [out])[1][0]

    def weight_gradient(out: mx.array, x: mx.array) -> mx.array:
        like = mx.zeros((out.shape[-1], *kernel, x.shape[-1] // geometry.groups), out.dtype)
        return mx.vjp(lambda w: geometry.convolve(x, w), [like], [out])[1][0]

    forward = _mapped(geometry.convolve, partial(im2col.convolve, geometry))
    to_input = _mapped(input_gradient, partial(im2col.input_gradient, geometry, spatial))
    to_weight = _mapped(weight_gradient, partial(im2col.weight_gradient, geometry, kernel))

    @forward.vjp
    def gradients(primals: Sequence[mx.array], out: mx.array, _: mx.array) -> tuple[Any, Any]:
        x, w = primals
        return to_input(out, w), to_weight(out, x)

    result: Any = forward(x, w)
    return result  # type: ignore[no-any-return]


def _mapped(alone: Callable[..., mx.array], grouped: Callable[..., mx.array]) -> mx.custom_function:
    """Return a function whose lanes are computed by `alone`, one by one, or on a GPU by `grouped`.

    MLX asks for a body that it can map itself, even where a rule takes its place: `grouped` is one.
    """

    @mx.custom_function
    def function(*arguments: mx.array) -> mx.array:
        return grouped(*(a[None] for a in arguments))[0]

    # The rule sees concrete lanes; the body above is only what MLX traces to learn shapes and gradients.
    @function.vmap
    def rule(arguments: Sequence[mx.array], axes: Axes) -> tuple[mx.array, int]:
        if device.kind() != "gpu":
            return one_by_one(alone, arguments, axes), 0
        lanes = (
            a[None] if axis is None else mx.moveaxis(a, axis, 0)
            for a, axis in zip(arguments, axes, strict=True)
        )
        return grouped(*lanes), 0

    return function


def one_by_one(alone: Callable[..., mx.array], arguments: Sequence[mx.array], axes: Axes) -> mx.array:
    """Return what a function of one lane gives for each lane, stacked."""
    lanes = [
        None if axis is None else mx.moveaxis(a, axis, 0) for a, axis in zip(arguments, axes, strict=True)
    ]
    width = next(len(lane) for lane in lanes if lane is not None)
    # Unrolled into one graph, so lanes run one after the other on the stream but are dispatched together.
    rows = [
        alone(*(a if lane is None else lane[i] for a, lane in zip(arguments, lanes, strict=True)))
        for i in range(width)
    ]
    return mx.stack(rows)
