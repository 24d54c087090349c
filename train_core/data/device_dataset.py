"""A task's data as one copy on the device, or as readers where a part is a source."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import keys, numpy_boundary
from train_core.data.sources import Indices, Reader, Source, require_numbers
from train_core.errors import TaskError
from train_core.hyperparameters import Scalar, Static
from train_core.task import Batch, Task, task_errors


@dataclass(frozen=True)
class DeviceDataset:
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
    def of(task: Task, static: Static | None = None) -> DeviceDataset:
        """Upload the task's arrays, once; raises TaskError where a part is neither arrays nor a source.

        `data` gets those static hyperparameters that it names. What it draws from MLX's global generator is
        the same in every process.
        """
        with keys.generator(keys.key(0)), task_errors(task, "data"):
            dataset = task.data(**data_arguments(task, static))
        train = _Part.of(task, "train", dataset.train)
        validation = _Part.of(task, "validation", dataset.validation)
        return DeviceDataset(
            train.arrays, validation.arrays, train.size, validation.size, train.reader, validation.reader
        )

    def batch(self, part: str, index: Indices) -> Batch:
        """Return examples of "train" or "validation", (n, ...)."""
        reader = self.train_reader if part == "train" else self.validation_reader
        if reader is None:
            return gather(self.train if part == "train" else self.validation, mx.array(index))
        return {name: mx.array(array) for name, array in reader.read(index).items()}


def data_arguments(task: Task, static: Static | None) -> dict[str, Scalar]:
    """The static hyperparameters that the task's `data` names: equal ones share a dataset."""
    named = inspect.signature(task.data).parameters
    return {name: value for name, value in (() if static is None else static.task) if name in named}


class _Part(NamedTuple):
    arrays: Batch
    size: int
    reader: Reader | None

    @staticmethod
    def of(task: Task, name: str, found: Mapping[str, npt.NDArray[Any]] | Source) -> _Part:
        if isinstance(found, Source):
            with task_errors(task, "data"):
                reader = Reader(found, f"{type(task).__name__}.data: {name}")
            return _Part({}, reader.size, reader)
        size = _size(task, name, found)
        fields = {field: np.asarray(array) for field, array in found.items()}
        for field, array in fields.items():
            require_numbers(f"{type(task).__name__}.data: {name}", field, array)
        arrays = {field: numpy_boundary.to_mlx(array) for field, array in fields.items()}
        mx.eval(arrays)
        return _Part(arrays, size, None)


def _size(task: Task, part: str, arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    where = f"{type(task).__name__}.data: {part}"
    if not isinstance(arrays, Mapping):
        raise TaskError(f"{where} must be a dict of arrays or a Source (len, fetch), got {arrays!r}")
    sizes = {name: len(array) for name, array in arrays.items()}
    if not sizes or len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise TaskError(f"{where} arrays must have the same number of examples, at least 1; got {sizes}")
    return next(iter(sizes.values()))


def gather(arrays: Batch, index: mx.array) -> Batch:
    """Return the examples at `index` (any shape), its dimensions in place of the first one."""
    return {name: array[index] for name, array in arrays.items()}
