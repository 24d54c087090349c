"""What is found of a trained run at a study's end: metrics on the test part, and texts to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from train_core.checkpoint import Checkpoint
from train_core.data.device_dataset import DeviceDataset
from train_core.lanes.lane import Length
from train_core.lanes.population import Population
from train_core.lanes.program import Program
from train_core.step.step import Samples
from train_core.task import Task, split_for


class Final(NamedTuple):
    """Metrics by name, `test_loss` and the like, {} where there is no test part; what the task shows."""

    metrics: dict[str, float]
    samples: Samples


def final(
    task: Task, hyperparameters: Mapping[str, object], checkpoint: Checkpoint, *, samples: bool = True
) -> Final:
    """Evaluate a checkpoint's run on the test part.

    Raises TaskError, and TrialError where its training loss was not finite or its `measure` fails.
    """
    static, _ = split_for(task, hyperparameters)
    data = DeviceDataset.of(task, static, on_test=True)
    population = Population(Program(task, static, data), 1)
    ended = Length(checkpoint.examples, checkpoint.examples)
    population.restore(0, checkpoint, hyperparameters=hyperparameters, length=ended)
    metrics: dict[str, float] = {}
    if data.evaluated == "test":
        (report,) = population.advance().reports
        found = report.checked().metrics
        metrics = {name: value for name, value in found.items() if name.startswith("test_")}
    return Final(metrics, population.samples(0) if samples else ())
