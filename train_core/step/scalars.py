"""Numbers of a run, 0-d, as operands beside arrays: for one run alone and for lanes."""

from __future__ import annotations

import mlx.core as mx


def column(number: mx.array, array: mx.array) -> mx.array:
    """Return the number of a run beside its array, or the numbers of lanes (L,) beside arrays (L, ...).

    A 0-d number stays one: fused kernels then walk the arrays without strides.
    """
    return number.reshape(*number.shape, *(1,) * (array.ndim - number.ndim)) if number.ndim else number


def once(number: mx.array) -> mx.array:
    """Return a number that fused kernels read rather than compute again for each element.

    The compiler fuses what leads to a 0-d operand with a single reader, powers and cosines too. It stops at a
    reshape, which copies nothing.
    """
    return number if number.ndim else number.reshape(1).reshape(())


def beside(array: mx.array, number: mx.array, *, mapped: bool) -> mx.array:
    """Return the number of one run with the axes that it needs beside the array under `mx.vmap`.

    Mapped over lanes, a 0-d number as the first operand (`beta * m`) would move the lanes to the last,
    slowest axis of the result: it gets one axis for every axis of the array.
    """
    return number.reshape((1,) * array.ndim) if mapped else number
