"""Convolutions in lanes, pure: `mx.vmap` cannot map their weight gradient.

On the CPU every lane is computed by itself, so that it equals its run alone bit for bit. So it is on a GPU
where the convolution is large and MLX computes it rightly; else all lanes share one batched matrix product
over the windows of the input (im2col), equal to rounding. Not mapped it is a product too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import mlx.core as mx

from train_core import device
from train_core.vmap import im2col
from train_core.vmap.custom import Axes
from train_core.vmap.im2col import Geometry

NATIVE_BYTES = 4_000_000
"""Windows of one lane from which on a GPU computes each lane by itself.

Gathering them takes a time that grows with their size, a convolution a lane one that does not, while small.
"""


def in_lanes(x: mx.array, w: mx.array, geometry: Geometry) -> mx.array:
    """Return the convolution in a form that maps over lanes, its gradients too."""
    dtype = mx.result_type(x, w)
    x, w = geometry.cut(x.astype(dtype)), w.astype(dtype)
    geometry = geometry.without_cuts
    spatial, kernel = tuple(x.shape[1:-1]), tuple(w.shape[1:-1])
    apart = _apart(geometry, x, w)
    forward = _mapped(geometry.convolve, partial(im2col.convolve, geometry), apart)
    to_input = _mapped(
        partial(_input_gradient, geometry, spatial), partial(im2col.input_gradient, geometry, spatial), apart
    )
    to_weight = _mapped(
        partial(_weight_gradient, geometry, kernel), partial(im2col.weight_gradient, geometry, kernel), apart
    )

    @forward.vjp
    def gradients(primals: Sequence[mx.array], out: mx.array, _: mx.array) -> tuple[Any, Any]:
        x, w = primals
        return to_input(out, w), to_weight(out, x)

    result: Any = forward(x, w)
    return result  # type: ignore[no-any-return]


def strided(x: mx.array, w: mx.array, geometry: Geometry) -> mx.array:
    """Return a run's strided convolution, alone on CUDA, with gradients that are right there."""
    dtype = mx.result_type(x, w)
    x, w = geometry.cut(x.astype(dtype)), w.astype(dtype)
    geometry = geometry.without_cuts

    @mx.custom_function
    def forward(x: mx.array, w: mx.array) -> mx.array:
        return geometry.convolve(x, w)

    @forward.vjp
    def gradients(primals: Sequence[mx.array], out: mx.array, _: mx.array) -> tuple[Any, Any]:
        x, w = primals
        to_input = _input_gradient(geometry, tuple(x.shape[1:-1]), out, w)
        return to_input, _weight_gradient(geometry, tuple(w.shape[1:-1]), out, x)

    result: Any = forward(x, w)
    return result  # type: ignore[no-any-return]


# The gradients through mx.vjp at zeros: a convolution is linear in each operand, so any point will do.
def _input_gradient(geometry: Geometry, spatial: tuple[int, ...], out: mx.array, w: mx.array) -> mx.array:
    like = mx.zeros((out.shape[0], *spatial, w.shape[-1] * geometry.groups), out.dtype)
    geometry, out = _without_stride(geometry, like, w, out)
    return mx.vjp(lambda x: geometry.convolve(x, w), [like], [out])[1][0]


def _weight_gradient(geometry: Geometry, kernel: tuple[int, ...], out: mx.array, x: mx.array) -> mx.array:
    like = mx.zeros((out.shape[-1], *kernel, x.shape[-1] // geometry.groups), out.dtype)
    geometry, out = _without_stride(geometry, x, like, out)
    return mx.vjp(lambda w: geometry.convolve(x, w), [like], [out])[1][0]


def _without_stride(geometry: Geometry, x: mx.array, w: mx.array, out: mx.array) -> tuple[Geometry, mx.array]:
    """Return a plain geometry and a cotangent for it that give a strided convolution's gradients on CUDA.

    See `Geometry.plain`: a stride is an input's dilation in the gradient. A strided convolution is every so
    manieth position of a plain one, so the other positions' cotangent is zero.
    """
    if not device.cuda() or max(geometry.stride) == 1:
        return geometry, out
    plain = replace(geometry, stride=(1,) * len(geometry.stride))
    spread = im2col.dilated(out[None], geometry.stride)[0]
    sizes = plain.positions(x.shape[1:-1], w.shape[1:-1])
    ends = [(0, size - n) for size, n in zip(sizes, spread.shape[1:-1], strict=True)]
    return plain, mx.pad(spread, [(0, 0), *ends, (0, 0)])


def _apart(geometry: Geometry, x: mx.array, w: mx.array) -> bool:
    """Whether every lane is computed by itself."""
    if device.kind() != "gpu":
        return True
    if device.cuda() and not geometry.right_by_lane:
        return False
    return im2col.window_bytes(geometry, x, w) >= NATIVE_BYTES


def _mapped(
    alone: Callable[..., mx.array], grouped: Callable[..., mx.array], apart: bool
) -> mx.custom_function:
    """Return a function whose lanes are computed by `alone`, one by one, where `apart`, else by `grouped`.

    MLX asks for a body that it can map itself, even where a rule takes its place: `grouped` is one.
    """

    @mx.custom_function
    def function(*arguments: mx.array) -> mx.array:
        return grouped(*(a[None] for a in arguments))[0]

    # The rule sees concrete lanes; the body above is only what MLX traces to learn shapes and gradients.
    @function.vmap
    def rule(arguments: Sequence[mx.array], axes: Axes) -> tuple[mx.array, int]:
        if apart:
            return one_by_one(alone, arguments, axes), 0
        lanes = (
            a[None] if axis is None else mx.moveaxis(a, axis, 0)
            for a, axis in zip(arguments, axes, strict=True)
        )
        return grouped(*lanes), 0

    return function


def one_by_one(alone: Callable[..., mx.array], arguments: Sequence[mx.array], axes: Axes) -> mx.array:
    """Return what a function of one lane gives for each lane, stacked."""
    width = next(a.shape[axis] for a, axis in zip(arguments, axes, strict=True) if axis is not None)
    lanes = [
        None if axis is None else _lanes(mx.moveaxis(a, axis, 0))
        for a, axis in zip(arguments, axes, strict=True)
    ]
    # Unrolled into one graph, so lanes run one after the other on the stream but are dispatched together.
    rows = [
        alone(*(a if lane is None else lane[i] for a, lane in zip(arguments, lanes, strict=True)))
        for i in range(width)
    ]
    return mx.stack(rows)


def _lanes(a: mx.array) -> list[mx.array]:
    """Return each lane's array, a view: an index by a number would be a gather, a copy."""
    return [a[i : i + 1].reshape(a.shape[1:]) for i in range(len(a))]
