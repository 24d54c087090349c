"""Data: one copy on the device or a reader of sources, and each lane's stream of example indices on the host.

A stream is the concatenation of one permutation an epoch. It is pure: what stands at a position
depends on the run's key and the number of examples only, so the position alone resumes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import keys, numpy_boundary
from train_core.data.sources import Indices, Reader, Source
from train_core.errors import TaskError
from train_core.task import Batch, Task, blamed


@dataclass(frozen=True)
class Resident:
    """A task's data, shared by all lanes and programs: arrays on the device, or readers of sources.

    A part that is a source has no arrays here: {} and a reader.
    """

    train: Batch
    validation: Batch
    train_size: int
    validation_size: int
    train_reader: Reader | None = None
    validation_reader: Reader | None = None

    @staticmethod
    def of(task: Task) -> Resident:
        """Upload the task's arrays, once; raises TaskError where a part is neither arrays nor a source.

        What `data` draws from MLX's global generator is the same in every process.
        """
        with keys.generator(keys.key(0)), blamed(task, "data"):
            dataset = task.data()
        train = _Part.of(task, "train", dataset.train)
        validation = _Part.of(task, "validation", dataset.validation)
        return Resident(
            train.arrays, validation.arrays, train.size, validation.size, train.reader, validation.reader
        )

    def batch(self, part: str, index: Indices) -> Batch:
        """Return examples of "train" or "validation", (n, ...)."""
        reader = self.train_reader if part == "train" else self.validation_reader
        if reader is None:
            return gather(self.train if part == "train" else self.validation, mx.array(index))
        return {name: mx.array(array) for name, array in reader.read(index).items()}


class _Part(NamedTuple):
    arrays: Batch
    size: int
    reader: Reader | None

    @staticmethod
    def of(task: Task, name: str, found: Mapping[str, npt.NDArray[Any]] | Source) -> _Part:
        if isinstance(found, Source):
            with blamed(task, "data"):
                reader = Reader(found, f"{type(task).__name__}.data: {name}")
            return _Part({}, reader.size, reader)
        size = _size(task, name, found)
        arrays = {field: numpy_boundary.to_mlx(np.asarray(array)) for field, array in found.items()}
        mx.eval(arrays)
        return _Part(arrays, size, None)


def _size(task: Task, part: str, arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    where = f"{type(task).__name__}.data: {part}"
    if not isinstance(arrays, Mapping):
        raise TaskError(f"{where} must be a dict of arrays or a Source (len, fetch), but got {arrays!r}")
    sizes = {name: len(array) for name, array in arrays.items()}
    if not sizes or len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise TaskError(f"{where} must hold arrays of one first dimension > 0, but got {sizes}")
    return next(iter(sizes.values()))


def gather(arrays: Batch, index: mx.array) -> Batch:
    """Return the examples at `index` (any shape), its dimensions in place of the first one."""
    return {name: array[index] for name, array in arrays.items()}


class Stream:
    """The order in which one run sees `size` examples, epoch after epoch without a seam."""

    def __init__(self, run_key: mx.array, size: int) -> None:
        self.key = keys.fold_in(run_key, keys.DATA)
        self.size = size
        self._permutations: dict[int, Indices] = {}

    def missing(self, position: int, count: int) -> list[int]:
        """Return the epochs that `take` needs and does not have."""
        return [epoch for epoch in self._epochs(position, count) if epoch not in self._permutations]

    def take(self, position: int, count: int) -> Indices:
        """Return `count` indices from `position` on; forgets epochs before it."""
        if self.missing(position, count):
            fill([(self, position, count)])
        epochs = self._epochs(position, count)
        self._permutations = {e: p for e, p in self._permutations.items() if e >= epochs.start}
        joined = [self._permutations[epoch] for epoch in epochs]
        start = position - epochs.start * self.size
        return (joined[0] if len(joined) == 1 else np.concatenate(joined))[start : start + count]

    def _epochs(self, position: int, count: int) -> range:
        return range(position // self.size, (position + count - 1) // self.size + 1)

    def put(self, epoch: int, permutation: Indices) -> None:
        self._permutations[epoch] = permutation


def fill(wanted: Sequence[tuple[Stream, int, int]]) -> None:
    """Compute all permutations that several streams of one size miss, in one call."""
    missing = [(s, epoch) for s, position, count in wanted for epoch in s.missing(position, count)]
    if missing:
        parents, epochs = [s.key for s, _ in missing], [epoch for _, epoch in missing]
        rows = keys.permutations(parents, epochs, missing[0][0].size)
        for (stream, epoch), row in zip(missing, rows, strict=True):
            stream.put(epoch, row)
