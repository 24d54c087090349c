"""A task tried on one batch, without training: what `describe` and `purity` are made of."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import numpy as np

from train_core import keys
from train_core.data.device_dataset import DeviceDataset
from train_core.lanes.program import Program
from train_core.step import schedule
from train_core.step.step import LaneState, Samples
from train_core.task import Batch, Task, split_for

Pairs = dict[str, tuple[mx.array, mx.array]]


class Probe:
    """A program with inputs for its functions; every call of `batch` or `state` gives new arrays."""

    def __init__(
        self, task: Task, hyperparameters: Mapping[str, object], data: DeviceDataset | None = None
    ) -> None:
        static, dynamic = split_for(task, hyperparameters)
        self.task = task
        self.program = Program(task, static, data)
        self.step = self.program.step
        self.hp = {name: mx.array(value) for name, value in {**dynamic, **schedule.fixed(dynamic, 1)}.items()}

    def state(self) -> LaneState:
        """Return a run's state before its first micro-batch."""
        return self.program.init(keys.key(0))

    def batch(self, part: str = "train") -> Batch:
        """Return the first examples of a part, as many as a step takes."""
        data, train = self.program.data, part == "train"
        count = self.program.static.micro_batch_size if train else self.program.evaluation_batch_size
        size = data.train_size if train else data.validation_size
        batch = data.batch(part, np.arange(count, dtype=np.uint32) % size)
        mx.eval(batch)
        return batch

    def train(self, state: LaneState, hp: dict[str, mx.array], batch: Batch) -> LaneState:
        """Return the state after a micro-batch and an update: a whole step."""
        return self.step.update(self.step.micro_batch(state, hp, batch, None), hp)

    def evaluate(self, state: LaneState, hp: dict[str, mx.array], batch: Batch) -> Pairs:
        """Return values and weights of every metric."""
        key = state["keys"]["dropout"]
        leaves = self.step.leaves(state["parameters"])
        return self.step.evaluate(leaves, state["model"], key, hp, batch, mx.array(1.0))

    def measure(self, state: LaneState) -> dict[str, float]:
        """Return what the task measures outside of the trace, over one example."""
        leaves = self.step.leaves(state["parameters"])
        return self.step.measure(leaves, state["model"], keys.key(0), self.hp, most=1)

    def samples(self, state: LaneState) -> Samples:
        """Return the first of what the task shows of a model."""
        leaves = self.step.leaves(state["parameters"])
        return self.step.samples(leaves, state["model"], keys.key(0), self.hp, most=1)

    def trace(self) -> None:
        """Trace the step and the evaluation under compile, without running them; raises TaskError."""
        # Compiled anew each time and never evaluated: only tracing can fail here.
        mx.compile(self.train)(self.state(), self.hp, self.batch())
        mx.compile(self.evaluate)(self.state(), self.hp, self.batch("validation"))
