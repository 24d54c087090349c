"""Reports: validation of all lanes at once, and what they cost in time.

Validation sums are float64 on the CPU stream, over values that the device returns unreduced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from mlx.utils import tree_map

from train_core import device, keys, numpy_boundary
from train_core.data.prefetch import Queue
from train_core.device_errors import is_device_lost, is_out_of_memory
from train_core.errors import TaskError, TrialError
from train_core.lanes.lane import LaneRun
from train_core.lanes.program import Program
from train_core.step import functional, schedule
from train_core.step.step import LaneState, Samples
from train_core.task import Batch, optional_method, task_errors

Pair = tuple[mx.array, mx.array]
Evaluate = Callable[..., dict[str, Pair]]


@dataclass(frozen=True)
class LaneReport:
    """A run's metrics at one boundary.

    `examples` is the nominal boundary, the last one the run's length; `error` says what went wrong
    (`checked` raises it as a TrialError): the run has `diverged` where its training loss was not finite,
    else the task's `measure` failed.
    """

    lane: int
    examples: int
    epoch: float
    updates: int
    metrics: Mapping[str, float]
    finished: bool
    error: str | None = None
    diverged: bool = False

    def checked(self) -> LaneReport:
        """Return the report; raises TrialError where the run has failed."""
        if self.error is not None:
            raise TrialError(self.error)
        return self


@dataclass(frozen=True)
class Advance:
    """What one call of `advance` did.

    `traces` counts compilations in it; `busy` is the fraction of lane places that trained.
    """

    reports: tuple[LaneReport, ...]
    train_s: float
    evaluate_s: float
    compile_s: float
    traces: int
    micro_batches: int
    busy: float


@dataclass
class Clock:
    """Where the time of one advance went, in seconds, and its steps."""

    train_s: float = 0.0
    evaluate_s: float = 0.0
    compile_s: float = 0.0
    steps: int = 0
    lane_steps: int = 0

    @contextmanager
    def compiling(self, program: Program) -> Iterator[None]:
        """Book the block as compilation when a function body ran in it."""
        traces, started = program.traces, time.perf_counter()
        yield
        if program.traces != traces:
            self.compile_s += time.perf_counter() - started


class Evaluation:
    """The validation set as batches of one shape, and how a population's lanes fare on it."""

    def __init__(self, program: Program, width: int) -> None:
        self.program = program
        self.width = width
        size, batch = program.data.validation_size, program.evaluation_batch_size
        batches = -(-size // batch)
        order = (np.arange(batches * batch, dtype=np.uint32) % size).reshape(batches, batch)
        self._buckets = program.data.validation_buckets
        if self._buckets is not None:
            order = self._buckets.sorted[order]
        counts = np.full(batches, batch, np.float32)
        counts[-1] = size - (batches - 1) * batch
        self._order = list(order)
        self._index = list(mx.array(order))
        self._counts = list(mx.array(counts))
        reader = program.data.validation_reader
        self._queue = None if reader is None else Queue(reader.read)

    def metrics(
        self, evaluate: Evaluate, state: LaneState, hp: dict[str, mx.array], clock: Clock
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return the metrics, one value a lane: train_loss, validation_<name>; in float16 skipped_updates."""
        sums: dict[str, Pair] = {}
        # Only what evaluation reads: unused moments would be inputs of the compiled function all the same.
        seen = {name: state[name] for name in ("parameters", "model", "keys")}
        for place, count in enumerate(self._counts):
            arrays, index = self._batch(place)
            with clock.compiling(self.program):
                pairs = evaluate(seen, hp, arrays, index, count)
                mx.async_eval(pairs)  # the sums below run on the CPU stream, beside the next batch
            sums = {name: _added(sums.get(name), pair) for name, pair in pairs.items()}
            mx.async_eval(sums)  # or the graph of all batches, with their values, would be held to the end
        means = {name: self._mean(*pair) for name, pair in sums.items()}
        with np.errstate(over="ignore"):
            means |= {name: np.exp(means[name]) for name in self.program.step.exponential}
        means = {f"{self.program.data.evaluated}_{name}": values for name, values in means.items()}
        if "loss_scale" in state:
            means["skipped_updates"] = self._read(state["loss_scale"]["skipped"]).astype(np.float64)
        return {"train_loss": self._mean(state["loss"]["sum"], state["loss"]["weight"]), **means} | {
            name: np.array(values) for name, values in self._of_tokens(state, hp).items()
        }

    def _of_tokens(self, state: LaneState, hp: dict[str, mx.array]) -> dict[str, list[float]]:
        """What reports of a task of tokens say beside: how many it trained on, the last update's rate."""
        task = self.program.task
        count = optional_method(task, "count_tokens")
        if count is None:
            return {}
        static = dict(self.program.static.task)
        with task_errors(task, "count_tokens"):
            weights = self._read(state["loss"]["weight"]).tolist()
            tokens = [float(count(weight, **static)) for weight in weights]
        rates = []
        for lane in range(self.width):  # one by one: of lanes together the last bit may be another
            numbers = hp if self.width == 1 else {name: leaf[lane] for name, leaf in hp.items()}
            step = state["optimizer"]["step"] if self.width == 1 else state["optimizer"]["step"][lane]
            last = mx.maximum(step.astype(mx.int32), 1) - 1
            rates.append(float(schedule.learning_rate(numbers, last)))
        return {"train_tokens": tokens, "learning_rate": rates}

    def errors(self, state: LaneState, lanes: Mapping[int, LaneRun]) -> list[str | None]:
        """Return what went wrong in each lane that holds a run, or None."""
        loss = state["loss"]
        finite, last = self._read(loss["finite"]), self._read(loss["last"])
        scale = self._read(state["loss_scale"]["scale"]) if "loss_scale" in state else None
        errors: list[str | None] = [None] * self.width
        for lane, held in lanes.items():
            if finite[lane] < 0:
                place = -int(finite[lane])  # as many as were finite, and one
                scaled = "" if scale is None else f", loss scale {scale[lane]:g}"
                errors[lane] = (
                    f"the training loss was not finite in update {-(-place // held.accumulation_steps)} "
                    f"(micro-batch {place}); the last finite loss was {last[lane]:.6g}{scaled}; "
                    "a lower learning rate, warm-up or clipping may help"
                )
        return errors

    def measured(
        self, state: LaneState, hp: dict[str, mx.array], lanes: Iterable[int]
    ) -> dict[int, dict[str, float] | TaskError]:
        """Return what the task measures of each of these lanes alone, or what went wrong there."""
        if optional_method(self.program.task, "measure") is None:
            return {}
        part, found = self.program.data.evaluated, dict[int, dict[str, float] | TaskError]()
        for lane in lanes:
            try:
                found[lane] = self.program.step.measure(*self._alone(state, hp, lane), part=part)
            except TaskError as error:
                if is_out_of_memory(error) or is_device_lost(error):
                    raise  # which is no single lane's doing
                found[lane] = error
        return found

    def samples(self, state: LaneState, hp: dict[str, mx.array], lane: int) -> Samples:
        """Return what the task shows of one lane's model; raises TaskError."""
        return self.program.step.samples(*self._alone(state, hp, lane))

    def _alone(
        self, state: LaneState, hp: dict[str, mx.array], lane: int
    ) -> tuple[functional.Flat, functional.Flat, mx.array, dict[str, mx.array]]:
        """Return one lane's parameters by path, its model state, a key, its hyperparameters."""
        seen = {name: state[name] for name in ("parameters", "model")}
        if self.width > 1:
            seen = tree_map(lambda leaf: leaf[lane], seen)
            hp = {name: leaf[lane] for name, leaf in hp.items()}
        # Row-major, as the arrays of a run alone: a product's last bits depend on how they lie in memory.
        leaves = self.program.step.leaves(mx.contiguous(seen["parameters"]))
        return leaves, tree_map(mx.contiguous, seen["model"]), keys.key(0), hp

    def _batch(self, place: int) -> tuple[Batch, mx.array]:
        """Return arrays and the index into them that gives one batch."""
        width = None if self._buckets is None else self._buckets.width(self._order[place])
        if self._queue is None:
            return self.program.data.arrays("validation", width), self._index[place]
        with task_errors(self.program.task, "data"):
            (found,) = self._queue.take(0, self._order[place : place + 1])
            self._queue.extend(0, self._order[place + 1 : place + 2])
        if self._buckets is not None and width is not None:
            found = self._buckets.cut(found, width)
        arrays = {name: mx.array(array) for name, array in found.items()}
        return arrays, mx.arange(len(self._order[place]), dtype=mx.uint32)

    def _read(self, leaf: mx.array) -> npt.NDArray[Any]:
        return numpy_boundary.to_numpy(leaf).reshape(self.width)

    def _mean(self, total: mx.array, weight: mx.array) -> npt.NDArray[np.float64]:
        sums, weights = (self._read(leaf).astype(np.float64) for leaf in (total, weight))
        means = np.full(self.width, np.nan)
        np.divide(sums, weights, out=means, where=weights > 0)
        return means


def _added(sums: Pair | None, pair: Pair) -> Pair:
    with device.float64_scope():
        value, weight = (leaf.astype(mx.float64).sum(axis=-1) for leaf in pair)
        return (value, weight) if sums is None else (sums[0] + value, sums[1] + weight)
