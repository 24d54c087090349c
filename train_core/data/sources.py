"""Data too large for the device: sources that fetch examples by index, and files of tokens.

A source is read on the host, one micro-batch at a time, from one thread that touches no MLX.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from train_core.errors import TaskError

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.uint32]

NARROW = {"float64": "float32", "int64": "int32", "uint64": "int32"}
"""What 64-bit dtypes become on the device."""

MOST_BYTES = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16}
"""The largest dtype of each kind that can be brought to the device; NumPy has wider floats."""


def require_numbers(part: str, name: str, array: Array) -> None:
    """Raise TaskError where MLX has no dtype for a field, such as text, objects or dates."""
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > MOST_BYTES[array.dtype.kind]:
        kind = {"U": "text", "S": "text", "O": "Python objects", "M": "dates"}.get(array.dtype.kind, "values")
        raise TaskError(
            f"{part}: field {name} holds {kind} (dtype {array.dtype}), which MLX has no arrays of. Encode it "
            "as numbers in data(), such as indices into a list of classes, or leave it out"
        )


@runtime_checkable
class Source(Protocol):
    """Examples by index: `fetch` gets indices (n,), repeats among them, and gives arrays (n, ...) by name.

    Names, shapes past the first dimension and dtypes are the same in every call. `fetch` runs in a
    thread of its own, never twice at once, and must not use MLX.
    """

    def __len__(self) -> int: ...

    def fetch(self, indices: Indices) -> Mapping[str, Array]: ...


class TokenWindows:
    """Tokens one after the other, as a source: example i predicts a window of `context` from its start.

    The window of example i starts at i * `context`; it gives `inputs` and, one token on, `targets`,
    both int32 (n, context). There must be more tokens than a window's.
    """

    def __init__(self, tokens: Array, *, context: int) -> None:
        self._tokens = tokens
        self._window = np.arange(context + 1)

    def __len__(self) -> int:
        return (len(self._tokens) - 1) // (len(self._window) - 1)

    def fetch(self, indices: Indices) -> dict[str, Array]:
        """The windows of these examples: of a memory-mapped file only they are read."""
        starts = indices.astype(np.int64) * (len(self._window) - 1)
        windows = self._tokens[starts[:, None] + self._window].astype(np.int32)
        return {"inputs": windows[:, :-1], "targets": windows[:, 1:]}


class TokenFile(TokenWindows):
    """A flat file of tokens (`array.tofile`), memory-mapped."""

    def __init__(
        self, path: str | os.PathLike[str], *, context: int, dtype: npt.DTypeLike = np.uint16
    ) -> None:
        if not Path(path).is_file():
            raise TaskError(f"{path}: no such file of tokens")
        size, width = os.path.getsize(path), np.dtype(dtype).itemsize
        if size % width:
            raise TaskError(
                f"{path}: its {size} bytes are not whole {np.dtype(dtype)} tokens of {width} bytes"
            )
        if size // width <= context:
            raise TaskError(
                f"{path}: {size // width} tokens do not fill a context of {context} and its target"
            )
        super().__init__(np.memmap(path, dtype, mode="r"), context=context)


class Reader:
    """A source held to its first example's names, shapes and dtypes; `part` is for messages.

    `layout` gives shape and dtype of one example by field, as the device gets it.
    """

    def __init__(self, source: Source, part: str) -> None:
        self.size = len(source)
        if self.size < 1:
            raise TaskError(f"{part}: there are no examples; len() is {self.size}")
        self._source, self._part = source, part
        self.layout: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        first = self.read(np.zeros(1, np.uint32))
        if not first:
            raise TaskError(f"{part}: fetch returned no fields")
        self.layout = {name: (array.shape[1:], array.dtype) for name, array in first.items()}

    @property
    def example_bytes(self) -> int:
        """Bytes that one example takes up."""
        return sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in self.layout.values())

    def read(self, indices: Indices) -> dict[str, Array]:
        """Return the examples; raises TaskError where they differ in kind from the first."""
        found = {name: np.asarray(array) for name, array in self._source.fetch(indices).items()}
        if self.layout and found.keys() != self.layout.keys():
            raise TaskError(
                f"{self._part}: fetch must return the fields {sorted(self.layout)}, got {sorted(found)}"
            )
        return {name: self._checked(name, array, len(indices)) for name, array in found.items()}

    def _checked(self, name: str, array: Array, count: int) -> Array:
        require_numbers(self._part, name, array)
        dtype = np.dtype(NARROW.get(array.dtype.name, array.dtype))
        shape, wanted = self.layout.get(name, (array.shape[1:], dtype))
        if array.shape != (count, *shape) or dtype != wanted:
            raise TaskError(
                f"{self._part}: {name} of every batch must have shape {(count, *shape)} and dtype {wanted}, "
                f"as the first example has it; got shape {array.shape} and dtype {dtype}"
            )
        if array.dtype.kind in "iu" and dtype != array.dtype:
            limits = np.iinfo(dtype)
            if array.min() < limits.min or array.max() > limits.max:
                raise TaskError(f"{self._part}: {name} must fit {dtype}, got {array.min()} to {array.max()}")
        return array.astype(dtype, copy=False)
