"""A task's data as one copy on the device, or as readers where a part is a source."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from train_core import keys, numpy_boundary
from train_core.data.buckets import Buckets
from train_core.data.sources import Indices, Reader, Source, require_numbers
from train_core.errors import TaskError
from train_core.hyperparameters import Scalar, Static
from train_core.task import Batch, Dataset, Task, task_errors


@dataclass(frozen=True)
class DeviceDataset:
    """A task's data, shared by all lanes and programs: arrays on the device, or readers of sources.

    A part that is a source has no arrays here: {} and a reader. `evaluated` names the task's part that stands
    as validation: with "test" reports have metrics of that. `test_size` is how many examples it has, 0 for
    none.
    """

    train: Batch
    validation: Batch
    train_size: int
    validation_size: int
    train_reader: Reader | None = None
    validation_reader: Reader | None = None
    train_buckets: Buckets | None = None
    validation_buckets: Buckets | None = None
    evaluated: str = "validation"
    test_size: int = 0
    _cut: dict[tuple[str, int], Batch] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(task: Task, static: Static | None = None, *, on_test: bool = False) -> DeviceDataset:
        """Upload the task's arrays, once; raises TaskError where a part is neither arrays nor a source.

        With `on_test` the test part, where there is one, is evaluated. `data` gets those static
        hyperparameters that it names. What it draws from MLX's global generator is the same in every process.
        """
        with keys.generator(keys.key(0)), task_errors(task, "data"):
            dataset = task.data(**data_arguments(task, static))
        given = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
        parts = {name: _Part.of(task, name, part) for name, part in given.items() if part is not None}
        buckets = {name: _buckets(task, dataset, name, part) for name, part in parts.items()}
        evaluated = "test" if on_test and "test" in parts else "validation"
        train, validation = parts["train"], parts[evaluated]
        return DeviceDataset(
            train.arrays,
            validation.arrays,
            train.size,
            validation.size,
            train.reader,
            validation.reader,
            train_buckets=buckets["train"],
            validation_buckets=buckets[evaluated],
            evaluated=evaluated,
            test_size=parts["test"].size if "test" in parts else 0,
        )

    @property
    def sizes(self) -> dict[str, Any]:
        """By part what steps and memory depend on, for JSON: each field's shape, the widths of batches."""
        found: dict[str, Any] = {}
        for part in ("train", "validation"):
            reader, buckets = self._of(part)
            arrays = self.arrays(part, None)
            shapes = {name: array.shape for name, array in arrays.items()}
            if reader is not None:  # of which only a few examples are held
                shapes = {name: shape for name, (shape, _) in reader.layout.items()}
            found[part] = [shapes, None if buckets is None else buckets.widths]
        return found

    def batch(self, part: str, index: Indices) -> Batch:
        """Return examples of "train" or "validation", (n, ...)."""
        reader, buckets = self._of(part)
        width = None if buckets is None else buckets.width(index)
        if reader is None:
            return gather(self.arrays(part, width), mx.array(index))
        found = reader.read(index)
        if buckets is not None and width is not None:
            found = buckets.cut(found, width)
        return {name: mx.array(array) for name, array in found.items()}

    def arrays(self, part: str, width: int | None) -> Batch:
        """Return a part's arrays, padded fields that wide where there are buckets: views, made once."""
        whole = self.train if part == "train" else self.validation
        _, buckets = self._of(part)
        if buckets is None or width is None:
            return whole
        if (part, width) not in self._cut:
            cut = {name: each[:, :width] if name in buckets.padded else each for name, each in whole.items()}
            mx.eval(cut)
            self._cut[part, width] = cut
        return self._cut[part, width]

    def _of(self, part: str) -> tuple[Reader | None, Buckets | None]:
        if part == "train":
            return self.train_reader, self.train_buckets
        return self.validation_reader, self.validation_buckets


def data_arguments(task: Task, static: Static | None) -> dict[str, Scalar]:
    """The static hyperparameters that the task's `data` names: equal ones share a dataset."""
    named = inspect.signature(task.data).parameters
    return {name: value for name, value in (() if static is None else static.task) if name in named}


def _buckets(task: Task, dataset: Dataset, name: str, part: _Part) -> Buckets | None:
    """The buckets of a part whose examples have lengths; raises TaskError where these do not fit it."""
    if dataset.lengths is None:
        return None
    where = f"{type(task).__name__}.data: lengths[{name!r}]"
    if name not in dataset.lengths:
        raise TaskError(f"{where} is missing; give the length of each example, or no lengths at all")
    with task_errors(task, "data"):
        lengths = np.asarray(dataset.lengths[name])
    if lengths.shape != (part.size,) or lengths.dtype.kind not in "iu":
        raise TaskError(f"{where} must be {part.size} integers, got {lengths.dtype} {lengths.shape}")
    shapes = part.shapes
    wide = {each: shapes[each][0] for each in dataset.padded if shapes.get(each)}
    if len(wide) != len(dataset.padded) or len(set(wide.values())) != 1:
        known = ", ".join(each for each, shape in shapes.items() if shape)
        raise TaskError(
            f"{where}: padded must name fields (examples, length, ...) of one length, such as {known}; "
            f"got {dataset.padded!r}"
        )
    longest = next(iter(wide.values()))
    if lengths.max() > longest:
        raise TaskError(f"{where} has {lengths.max()}, and {', '.join(wide)} hold {longest}")
    if lengths.min() < 0:
        raise TaskError(f"{where} has {lengths.min()}; a length is 0 or more")
    if not isinstance(dataset.pad_to, int) or dataset.pad_to < 1:
        raise TaskError(
            f"{type(task).__name__}.data: pad_to must be an integer of at least 1, got {dataset.pad_to!r}"
        )
    return Buckets.made(lengths, tuple(wide), pad_to=dataset.pad_to, longest=longest)


class _Part(NamedTuple):
    arrays: Batch
    size: int
    reader: Reader | None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one example by field."""
        if self.reader is not None:
            return {name: shape for name, (shape, _) in self.reader.layout.items()}
        return {name: tuple(array.shape[1:]) for name, array in self.arrays.items()}

    @staticmethod
    def of(task: Task, name: str, found: Mapping[str, npt.NDArray[Any]] | Source) -> _Part:
        if isinstance(found, Source):
            with task_errors(task, "data"):
                reader = Reader(found, f"{type(task).__name__}.data: {name}")
            return _Part({}, reader.size, reader)
        size = _size(task, name, found)
        fields = {each: np.asarray(array) for each, array in found.items()}
        for each, array in fields.items():
            require_numbers(f"{type(task).__name__}.data: {name}", each, array)
        arrays = {each: numpy_boundary.to_mlx(array) for each, array in fields.items()}
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
