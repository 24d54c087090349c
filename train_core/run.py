"""One run by itself: a population of one lane, to train a single model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import mlx.core as mx

from train_core.checkpoint import Checkpoint
from train_core.data.device_dataset import DeviceDataset
from train_core.lanes.evaluation import LaneReport
from train_core.lanes.lane import Length
from train_core.lanes.population import Population
from train_core.lanes.program import Program
from train_core.task import Task, split_for


class Run:
    """A task's training under one key; iterating trains from report to report, to the end.

    With a checkpoint it resumes there, bit for bit on a CPU. Raises TrialError where the
    training loss is not finite.
    """

    def __init__(
        self,
        task: Task,
        hyperparameters: Mapping[str, object],
        *,
        key: mx.array,
        length: Length,
        data: DeviceDataset | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        static, _ = split_for(task, hyperparameters)
        self._population = Population(Program(task, static, data), 1)
        if checkpoint is None:
            self._population.load(0, key=key, hyperparameters=hyperparameters, length=length)
        else:
            self._population.restore(0, checkpoint, hyperparameters=hyperparameters, length=length)

    def __iter__(self) -> Iterator[LaneReport]:
        finished = False
        while not finished:
            for report in self._population.advance().reports:
                finished = report.finished
                yield report.checked()

    def snapshot(self) -> Checkpoint:
        """Return the complete state by now."""
        return self._population.snapshot(0)
