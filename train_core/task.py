"""What a user writes, what its functions are given, and how their mistakes are named."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, NamedTuple

import mlx
import mlx.core as mx
import mlx.nn as nn
import numpy.typing as npt

from train_core.data.sources import Source
from train_core.errors import TaskError, TrainingError
from train_core.hyperparameters import Factor, Scalar, Static, split
from train_core.reads import Read
from train_core.written_at import in_cell, own_frame

Batch = dict[str, mx.array]


class Mean(NamedTuple):
    """A weighted mean, not yet reduced: `values` (B,), `weights` (B,) or None for ones."""

    values: mx.array
    weights: mx.array | None = None


class Exponential(Mean):
    """A metric that is e to the power of a mean, as perplexity is of a loss: `Exponential(*loss)`."""


def token_mean(values_BxT: mx.array, weights_BxT: mx.array) -> Mean:
    """Return a mean over all tokens that count, whatever example they stand in: losses and a mask (B, T)."""
    weights = weights_BxT.astype(mx.float32)
    total, weight = (values_BxT.astype(mx.float32) * weights).sum(axis=1), weights.sum(axis=1)
    return Mean(total / mx.where(weight > 0, weight, 1.0), weight)


@dataclass(frozen=True)
class Dataset:
    """Parts: each a mapping from a name to an array, examples along the first dimension, or a Source.

    No trial sees the `test` part, which need not be there: the best are evaluated on it at a study's end.

    With `lengths`, those of each part's examples by its name, a batch holds examples of like length, and the
    fields that are `padded` along their second dimension are cut to the batch's longest example, rounded up
    to a multiple of `pad_to`. The loss masks what lies beyond an example, as without lengths.
    """

    train: Mapping[str, npt.NDArray[Any]] | Source
    validation: Mapping[str, npt.NDArray[Any]] | Source
    lengths: Mapping[str, npt.NDArray[Any]] | None = None
    padded: tuple[str, ...] = ()
    pad_to: int = 32
    test: Mapping[str, npt.NDArray[Any]] | Source | None = None


class Task:
    """A training task: data, a model, a loss, metrics. Built without arguments.

    `static` names the hyperparameters the model is built from; `model` receives these as keywords.
    `switches` names dynamic ones whose being 0 or not shapes the program, as a static one in `filled` says.
    `on_request` gives by the name of a metric that is not always reported what to do for it.
    `rate_factors` gives by a pattern of a parameter's path (`*.lora_b`) what the learning rate is multiplied
    by there, a number or the name of a dynamic hyperparameter; so does `decay_factors` for the weight decay.
    With `deterministic` the model's embeddings are `train_core.Embedding`: on a GPU two runs at one width
    then agree bit for bit, but for one alone below float32. `data` may name static hyperparameters as its own
    keywords. `folder` is where the study file lies, once the task is loaded; `recorded` holds by name the
    texts of the files that `reads` keeps, as they were when the study began.

    More methods are optional. `augment(self, example, key)` gets one example (a dict of arrays without the
    batch dimension) and one key, and is mapped over the batch. The others run outside of compiled functions,
    over at most `most` examples, None for as many as they like. `measure(self, model, hp, part, most)` is
    called at a report and returns further metrics by name on the `part`, "validation" or "test".
    `samples(self, model, hp, most)` is called for the best trial at a study's end and returns pairs of texts
    to show: what was asked, what was answered.

    A task of tokens has a method `count_tokens(self, weight, **static)`: how many there are in examples
    whose losses have this weight together. Reports then say `train_tokens`, since the report before, and
    `learning_rate`.
    """

    static: ClassVar[tuple[str, ...]] = ()
    switches: ClassVar[tuple[str, ...]] = ()
    on_request: ClassVar[Mapping[str, str]] = MappingProxyType({})
    rate_factors: ClassVar[Mapping[str, Factor]] = MappingProxyType({})
    decay_factors: ClassVar[Mapping[str, Factor]] = MappingProxyType({})
    deterministic: ClassVar[bool] = False
    folder: Path = Path()
    recorded: Mapping[str, str] = MappingProxyType({})

    def reads(self, given: Mapping[str, Any]) -> Mapping[str, Read]:
        """Return by name the files and folders that a trial reads: a resume compares them.

        Of a folder the files in it count, not hidden ones, nor those of folders below it.
        """
        return {}

    def filled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a trial's hyperparameters with what the task adds where the study says nothing."""
        return given

    def data(self, *args: Any, **static: Any) -> Dataset:
        raise NotImplementedError

    def model(self, *args: Any, **static: Any) -> nn.Module:  # so typed, any parameters may override
        raise NotImplementedError

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        raise NotImplementedError

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        raise NotImplementedError


class Hyperparameters:
    """The namespace `hp`: dynamic ones as traced 0-d arrays, static ones as Python values."""

    def __init__(self, dynamic: Mapping[str, mx.array], static: Mapping[str, Scalar]) -> None:
        self._dynamic = dict(dynamic)
        self._static = dict(static)
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._dynamic:
            self._read.add(name)
            return self._dynamic[name]
        if name in self._static:
            return self._static[name]
        known = ", ".join(sorted({*self._dynamic, *self._static}))
        raise TaskError(f"hp.{name}: there is no such hyperparameter; there are {known}")

    @property
    def dynamic_read(self) -> tuple[str, ...]:
        """The dynamic names read so far."""
        return tuple(sorted(self._read))


def split_for(task: Task, hyperparameters: Mapping[str, Any]) -> tuple[Static, dict[str, float]]:
    """Sort a trial's hyperparameters, with what the task adds, into static and dynamic ones (see `split`)."""
    with task_errors(task, "filled"):
        filled = task.filled(hyperparameters)
    return split(filled, task.static)


def static_values(static: Static) -> dict[str, Scalar]:
    """Return the static hyperparameters that a task sees in `hp`."""
    core: dict[str, Scalar] = {
        "precision": static.precision,
        "optimizer": static.optimizer,
        "micro_batch_size": static.micro_batch_size,
    }
    groups = {"rate_factors": static.rate_factors, "decay_factors": static.decay_factors}
    return core | {name: text for name, text in groups.items() if text} | dict(static.task)


# What MLX and Python say where a tracer is asked for its value; no class of its own tells these apart.
_NUMBER_NEEDED = re.compile(
    r"Attempting to eval an array|can be converted to an index|multiplication on an .* and "
)
_NOT_THE_TASK = tuple(
    str(Path(place).resolve()) for place in (Path(__file__).parent, *map(Path, getattr(mlx, "__path__", ())))
)


def optional_method(task: Task, name: str) -> Callable[..., Any] | None:
    """Return a method that a task may have; an attribute of that name that is none is the task's own."""
    return getattr(task, name) if callable(getattr(type(task), name, None)) else None


@contextmanager
def task_errors(task: Task, method: str, hp: Hyperparameters | None = None) -> Iterator[None]:
    """Turn what the task's code raises inside the block into a TaskError with file and line.

    The edge between the core and foreign code: whatever is raised here is the task's.
    """
    try:
        yield
    except TrainingError as error:
        if isinstance(error, TaskError) and hp is not None and str(error).startswith("hp."):
            raise TaskError(f"{_place(task, method, error.__traceback__)}: {error}") from error
        raise
    except Exception as error:
        place = _place(task, method, error.__traceback__)
        if _NUMBER_NEEDED.search(str(error)):
            raise TaskError(f"{place}: {_no_number(hp, error.__traceback__)}") from error
        raise TaskError(f"{place}: {type(error).__name__}: {error}") from error


def needs_a_value(error: TaskError) -> bool:
    """Whether Python asked for the value of a traced array."""
    return bool(_NUMBER_NEEDED.search(str(error.__cause__)))


def is_foreign(filename: str) -> bool:
    """Whether a source file is MLX's or this package's own, so not the task's."""
    return filename.startswith(_NOT_THE_TASK)


def _frame(trace: TracebackType | None) -> traceback.FrameSummary | None:
    return own_frame(trace, _NOT_THE_TASK)


def _place(task: Task, method: str, trace: TracebackType | None) -> str:
    frame = _frame(trace)
    called = f"{type(task).__name__}.{method}"
    if frame is None:
        return called
    place = in_cell(frame.filename, frame.lineno or 0) or f"{frame.filename}:{frame.lineno}"
    return f"{place}: in {called}"


def _no_number(hp: Hyperparameters | None, trace: TracebackType | None) -> str:
    frame = _frame(trace)
    line = (frame.line or "") if frame else ""
    read = () if hp is None else hp.dynamic_read
    on_line = [n for n in read if re.search(rf"\bhp\.{n}\b", line)]
    on_line = on_line or [n for n in read if re.search(rf"\b{n}\b", line)]
    if on_line:
        listed = " or ".join(f'"{name}"' for name in on_line)
        return (
            f"Python needs a number where `{line}` uses a dynamic hyperparameter, which is a traced array; "
            f"add {listed} to `static` of the task (one program a value), or compute with arrays (mx.where)"
        )
    instead = "compute with arrays of mx (mx.where for a branch)"
    if read:
        instead += f", or add to `static` of the task what of {', '.join(read)} it is computed from"
    return f"Python or NumPy needs values where `{line}` uses a traced array, which has none; {instead}"
