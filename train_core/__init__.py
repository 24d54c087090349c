"""Pure, keyed, compiled training with MLX: many runs in one step, exact and resumable.

Names are loaded on first use, so importing this package does not load mlx.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train_core.checkpoint import Checkpoint, load, save
    from train_core.data import Resident
    from train_core.description import describe
    from train_core.errors import CheckpointError, HyperparameterError, TaskError, TrainingError, TrialError
    from train_core.evaluation import LaneReport
    from train_core.hyperparameters import Static, split
    from train_core.lane import Length
    from train_core.layers import Dropout, cross_entropy
    from train_core.population import Advance, Population
    from train_core.program import Program
    from train_core.task import Dataset, Mean, Task

_HOMES = {
    "Advance": "population",
    "Checkpoint": "checkpoint",
    "CheckpointError": "errors",
    "Dataset": "task",
    "Dropout": "layers",
    "HyperparameterError": "errors",
    "LaneReport": "evaluation",
    "Length": "lane",
    "Mean": "task",
    "Population": "population",
    "Program": "program",
    "Resident": "data",
    "Static": "hyperparameters",
    "Task": "task",
    "TaskError": "errors",
    "TrainingError": "errors",
    "TrialError": "errors",
    "cross_entropy": "layers",
    "describe": "description",
    "load": "checkpoint",
    "save": "checkpoint",
    "split": "hyperparameters",
}

__all__ = [
    "Advance",
    "Checkpoint",
    "CheckpointError",
    "Dataset",
    "Dropout",
    "HyperparameterError",
    "LaneReport",
    "Length",
    "Mean",
    "Population",
    "Program",
    "Resident",
    "Static",
    "Task",
    "TaskError",
    "TrainingError",
    "TrialError",
    "cross_entropy",
    "describe",
    "load",
    "save",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"train_core.{_HOMES[name]}"), name)
