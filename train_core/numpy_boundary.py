"""NumPy <-> MLX, always by copy: a shared buffer lets NumPy write into an MLX array."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt


def to_mlx(array: npt.NDArray[Any]) -> mx.array:
    """Copy into MLX; float64 becomes float32, 64-bit integers become 32-bit ones where they fit."""
    if array.dtype in (np.int64, np.uint64):
        info = np.iinfo(np.int32)
        if array.size == 0 or (array.min() >= info.min and array.max() <= info.max):
            array = array.astype(np.int32)
    elif array.dtype == np.float64:
        array = array.astype(np.float32)
    if any(stride < 0 for stride in array.strides):  # x[::-1], which MLX does not take
        array = array.copy()
    return mx.array(array)


def to_numpy(array: mx.array) -> npt.NDArray[Any]:
    """Copy out of MLX; waits for the array to be computed."""
    return np.array(
        array, copy=True
    )  # np.asarray would share the buffer, and it may be donated to a later step


def raw_bytes(array: mx.array) -> bytes:
    """Return the array's elements in row-major order, bfloat16 included."""
    # NumPy has no bfloat16: bytes are viewed in MLX, which needs a row-major array.
    return to_numpy(mx.contiguous(array).reshape(-1).view(mx.uint8)).tobytes()
