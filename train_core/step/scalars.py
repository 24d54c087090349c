"""A 0-d number as an operand beside an array, for one run alone and for lanes."""

from __future__ import annotations

import mlx.core as mx


def beside(array: mx.array, number: mx.array, *, mapped: bool) -> mx.array:
    """Return the number with the axes that it needs beside the array.

    Mapped over lanes, a 0-d number as the first operand (`beta * m`) would move the lanes to the last,
    slowest axis of the result: it gets one axis for every axis of the array. For one run alone, 0-d
    numbers let fused kernels walk the arrays without strides.
    """
    return number.reshape((1,) * array.ndim) if mapped else number
