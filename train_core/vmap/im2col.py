"""Convolution as one batched matrix product over the windows of the input, for many lanes at once; pure.

Lanes come first; an array that all lanes share has one, and is broadcast.
Legend: L lanes, N examples, G groups, P positions of the output, Q kernel positions x channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import mlx.core as mx
import numpy as np

Sizes = tuple[int, ...]

_native = mx.conv_general  # taken at import: `rules` replaces the name while a lane is traced


@dataclass(frozen=True)
class Geometry:
    """What `mx.conv_general` is told besides its arrays, one number a spatial dimension."""

    stride: Sizes
    low: Sizes
    high: Sizes
    dilation: Sizes
    input_dilation: Sizes
    groups: int = 1
    flip: bool = False

    def convolve(self, x: mx.array, w: mx.array) -> mx.array:
        """Return MLX's own convolution: x (N, *in, C), w (O, *kernel, C / groups) -> (N, *out, O)."""
        return _native(
            x,
            w,
            self.stride,
            (self.low, self.high),
            self.dilation,
            self.input_dilation,
            self.groups,
            self.flip,
        )

    def cut(self, x: mx.array) -> mx.array:
        """Return x without what a negative padding takes away: MLX cuts before it dilates."""
        if min(*self.low, *self.high) >= 0:
            return x
        ends = zip(x.shape[1:-1], self.low, self.high, strict=True)
        return x[(slice(None), *(slice(max(-lo, 0), n - max(-hi, 0)) for n, lo, hi in ends))]

    @property
    def plain(self) -> bool:
        """Whether MLX 0.32.4 computes it and its gradients rightly on CUDA.

        Its cache of plans there lacks the input's dilation, a stride's in the gradient, in its key: the
        second of two that differ in it alone is computed by the first one's plan. And gradients through
        groups came out wrong, by its source because a rearranged kernel is let go before it was read.
        Neither raises.
        """
        return max(*self.stride, *self.input_dilation, self.groups) == 1

    @property
    def right_by_lane(self) -> bool:
        """Whether MLX computes it rightly on CUDA where gradients are taken without the stride."""
        return max(*self.input_dilation, self.groups) == 1

    def positions(self, spatial: Sizes, kernel: Sizes) -> Sizes:
        """Return the sizes of the output for those of the input and of the kernel."""
        padded = (
            (n - 1) * i + 1 + low + high
            for n, i, low, high in zip(spatial, self.input_dilation, self.low, self.high, strict=True)
        )
        return tuple(
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(padded, kernel, self.stride, self.dilation, strict=True)
        )

    @property
    def without_cuts(self) -> Geometry:
        """The geometry of an input that was cut."""
        low, high = (tuple(max(n, 0) for n in side) for side in (self.low, self.high))
        return replace(self, low=low, high=high)


def window_bytes(geometry: Geometry, x: mx.array, w: mx.array) -> int:
    """Return the size of one lane's windows: of x (N, *in, C) under kernels w (O, *kernel, C / groups)."""
    positions = geometry.positions(x.shape[1:-1], w.shape[1:-1])
    return x.shape[0] * math.prod(positions) * math.prod(w.shape[1:-1]) * x.shape[-1] * x.dtype.size


def convolve(geometry: Geometry, x: mx.array, w: mx.array) -> mx.array:
    """Return the convolution of x (L, N, *in, C) with w (L, O, *kernel, C / groups): (L, N, *out, O)."""
    kernel, out_channels = tuple(w.shape[2:-1]), w.shape[1]
    w = _flipped(w, 2) if geometry.flip else w
    w_LxGxQxO = mx.swapaxes(w.reshape(len(w), geometry.groups, out_channels // geometry.groups, -1), 2, 3)
    windows, positions = _windows(geometry, kernel, x)
    y_LxGxNPxO = windows @ w_LxGxQxO
    y = mx.moveaxis(y_LxGxNPxO, 1, 2)
    return y.reshape(len(y), x.shape[1], *positions, out_channels)


def weight_gradient(geometry: Geometry, kernel: Sizes, out: mx.array, x: mx.array) -> mx.array:
    """Return the gradient of the kernels, (L, O, *kernel, C / groups), for the cotangent `out`."""
    out_channels, channels = out.shape[-1], x.shape[-1] // geometry.groups
    windows_LxGxNPxQ, _ = _windows(geometry, kernel, x)
    out = out.reshape(len(out), -1, geometry.groups, out_channels // geometry.groups)
    out_LxGxOxNP = out.transpose(0, 2, 3, 1)
    gradient = out_LxGxOxNP @ windows_LxGxNPxQ
    gradient = gradient.reshape(len(gradient), out_channels, *kernel, channels)
    return _flipped(gradient, 2) if geometry.flip else gradient


def input_gradient(geometry: Geometry, spatial: Sizes, out: mx.array, w: mx.array) -> mx.array:
    """Return the gradient of the input (L, N, *spatial, C): the kernel slides backwards."""
    groups, out_channels, kernel = geometry.groups, w.shape[1], tuple(w.shape[2:-1])
    lanes, channels = len(w), w.shape[-1]
    w = w.reshape(lanes, groups, out_channels // groups, *kernel, channels)
    w = mx.swapaxes(w, 2, -1).reshape(lanes, groups * channels, *kernel, out_channels // groups)
    reach = tuple(d * (k - 1) for d, k in zip(geometry.dilation, kernel, strict=True))
    spread = tuple((n - 1) * s + 1 for n, s in zip(out.shape[2:-1], geometry.stride, strict=True))
    dilated = tuple((n - 1) * d + 1 for n, d in zip(spatial, geometry.input_dilation, strict=True))
    padded = tuple(lo + n + hi for lo, n, hi in zip(geometry.low, dilated, geometry.high, strict=True))
    backwards = Geometry(
        stride=(1,) * len(kernel),
        low=reach,
        high=tuple(p - s for p, s in zip(padded, spread, strict=True)),
        dilation=geometry.dilation,
        input_dilation=geometry.stride,
        groups=groups,
        flip=not geometry.flip,
    )
    gradient = convolve(backwards, out, w)
    inner = (
        slice(lo, p - hi, d)
        for p, lo, hi, d in zip(padded, geometry.low, geometry.high, geometry.input_dilation, strict=True)
    )
    return gradient[(slice(None), slice(None), *inner)]


def _windows(geometry: Geometry, kernel: Sizes, x: mx.array) -> tuple[mx.array, Sizes]:
    """Return what the kernel sees at each position (L, G, N x P, Q), and the positions' sizes."""
    ends = zip(geometry.low, geometry.high, strict=True)
    x = mx.pad(dilated(x, geometry.input_dilation), [(0, 0), (0, 0), *ends, (0, 0)])
    lanes, examples, *padded, channels = x.shape
    positions = tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded, kernel, geometry.stride, geometry.dilation, strict=True)
    )
    steps = [channels * math.prod(padded[i + 1 :]) for i in range(len(padded))]
    group = channels // geometry.groups
    strides = (
        group,
        *(n * s for n, s in zip(steps, geometry.stride, strict=True)),
        *(n * d for n, d in zip(steps, geometry.dilation, strict=True)),
        1,
    )
    seen = strided_index((geometry.groups, *positions, *kernel, group), strides)
    windows = x.reshape(lanes, examples, -1)[:, :, seen.reshape(-1)]
    windows = windows.reshape(lanes, examples, geometry.groups, math.prod(positions), -1)
    return mx.swapaxes(windows, 1, 2).flatten(2, 3), positions


@lru_cache(maxsize=64)  # evaluated arrays, so constants of every trace that uses them
def strided_index(shape: Sizes, strides: Sizes, offset: int = 0) -> mx.array:
    """Return the positions, in a flat array, of a strided view's elements; uint32 of the view's shape.

    A gather by these maps over lanes, the strided view itself does not.
    """
    index = np.full((1,) * len(shape), offset, np.uint32)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        along = np.arange(size, dtype=np.uint32) * np.uint32(stride)
        index = index + along.reshape((-1, *(1,) * (len(shape) - axis - 1)))
    return mx.array(index)


def dilated(x: mx.array, factors: Sizes) -> mx.array:
    """Return x (L, N, *in, C) with factor - 1 zeros between neighbours."""
    for axis, factor in enumerate(factors, start=2):
        if factor > 1:
            size = x.shape[axis]
            widths = [(0, 0)] * (x.ndim + 1)
            widths[axis + 1] = (0, factor - 1)
            spread = mx.pad(mx.expand_dims(x, axis + 1), widths)
            x = mx.flatten(spread, axis, axis + 1)
            x = x[(*(slice(None),) * axis, slice((size - 1) * factor + 1))]
    return x


def _flipped(w: mx.array, first: int) -> mx.array:
    """Return w with its spatial axes, `first` to the last but one, reversed."""
    turned = (slice(None, None, -1),) * (w.ndim - first - 1)
    return w[(*(slice(None),) * first, *turned)]
