"""Pure, keyed, compiled training with MLX: many runs in one step, exact and resumable.

Names are loaded on first use, so importing this package does not load mlx.

task             what a user writes, and the data and losses that it gives
hyperparameters  the names that the core reads; what is static
run              one run by itself
conclusion       what is found of a run at a study's end
lanes            many runs in one compiled step (a package)
step             one lane's pure functions (a package)
vmap             what mx.vmap lacks (a package)
data             what a run trains on, and in which order (a package)
inspect          a task, tried before it trains (a package)
checkpoint       complete, resumable checkpoints
loading          a task from its file or module
reads            what a task reads beside its source, fingerprinted
written_at       where an error of a task's code comes from
inference        a trained model out of a checkpoint
layers           layers and losses that take traced rates
keys             random keys, split and folded
device_errors    what the errors of MLX say of the device
device           what the machine has
numpy_boundary   numpy and MLX arrays, each as the other
errors           what is raised
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train_core.checkpoint import Checkpoint, load, save
    from train_core.conclusion import Final, final
    from train_core.data.device_dataset import DeviceDataset
    from train_core.data.sources import Source, TokenFile
    from train_core.errors import CheckpointError, HyperparameterError, TaskError, TrainingError, TrialError
    from train_core.hyperparameters import Static, split
    from train_core.inspect.description import describe
    from train_core.inspect.purity import Purity, purity
    from train_core.lanes.evaluation import Advance, LaneReport
    from train_core.lanes.lane import Length
    from train_core.lanes.population import Population
    from train_core.lanes.program import Program
    from train_core.lanes.width import WidthChoice, best_width
    from train_core.layers import Dropout, cross_entropy
    from train_core.run import Run
    from train_core.step.embedding import Embedding
    from train_core.step.functional import Differentiated, model_state, pure, trainable, value_and_grad
    from train_core.task import Dataset, Exponential, Mean, Task, token_mean

_HOMES = {
    "Advance": "lanes.evaluation",
    "Checkpoint": "checkpoint",
    "CheckpointError": "errors",
    "Dataset": "task",
    "Differentiated": "step.functional",
    "Dropout": "layers",
    "Embedding": "step.embedding",
    "Exponential": "task",
    "Final": "conclusion",
    "HyperparameterError": "errors",
    "LaneReport": "lanes.evaluation",
    "Length": "lanes.lane",
    "Mean": "task",
    "Population": "lanes.population",
    "Program": "lanes.program",
    "Purity": "inspect.purity",
    "DeviceDataset": "data.device_dataset",
    "Run": "run",
    "Source": "data.sources",
    "Static": "hyperparameters",
    "Task": "task",
    "TaskError": "errors",
    "TokenFile": "data.sources",
    "TrainingError": "errors",
    "TrialError": "errors",
    "WidthChoice": "lanes.width",
    "best_width": "lanes.width",
    "cross_entropy": "layers",
    "describe": "inspect.description",
    "final": "conclusion",
    "load": "checkpoint",
    "model_state": "step.functional",
    "pure": "step.functional",
    "purity": "inspect.purity",
    "save": "checkpoint",
    "split": "hyperparameters",
    "split_for": "task",
    "token_mean": "task",
    "trainable": "step.functional",
    "value_and_grad": "step.functional",
}

__all__ = [
    "Advance",
    "Checkpoint",
    "CheckpointError",
    "Dataset",
    "DeviceDataset",
    "Differentiated",
    "Dropout",
    "Embedding",
    "Exponential",
    "Final",
    "HyperparameterError",
    "LaneReport",
    "Length",
    "Mean",
    "Population",
    "Program",
    "Purity",
    "Run",
    "Source",
    "Static",
    "Task",
    "TaskError",
    "TokenFile",
    "TrainingError",
    "TrialError",
    "WidthChoice",
    "best_width",
    "cross_entropy",
    "describe",
    "final",
    "load",
    "model_state",
    "pure",
    "purity",
    "save",
    "split",
    "token_mean",
    "trainable",
    "value_and_grad",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"train_core.{_HOMES[name]}"), name)
