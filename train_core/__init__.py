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
    from train_core.embedding import Embedding
    from train_core.errors import CheckpointError, HyperparameterError, TaskError, TrainingError, TrialError
    from train_core.evaluation import LaneReport
    from train_core.functional import Differentiated, model_state, pure, trainable, value_and_grad
    from train_core.hyperparameters import Static, split
    from train_core.inspection import Purity, purity
    from train_core.lane import Length
    from train_core.layers import Dropout, cross_entropy
    from train_core.population import Advance, Population
    from train_core.program import Program
    from train_core.run import Run
    from train_core.sources import Source, TokenFile
    from train_core.task import Dataset, Mean, Task, token_mean
    from train_core.width import WidthChoice, best_width

_HOMES = {
    "Advance": "population",
    "Checkpoint": "checkpoint",
    "CheckpointError": "errors",
    "Dataset": "task",
    "Differentiated": "functional",
    "Dropout": "layers",
    "Embedding": "embedding",
    "HyperparameterError": "errors",
    "LaneReport": "evaluation",
    "Length": "lane",
    "Mean": "task",
    "Population": "population",
    "Program": "program",
    "Purity": "inspection",
    "Resident": "data",
    "Run": "run",
    "Source": "sources",
    "Static": "hyperparameters",
    "Task": "task",
    "TaskError": "errors",
    "TokenFile": "sources",
    "TrainingError": "errors",
    "TrialError": "errors",
    "WidthChoice": "width",
    "best_width": "width",
    "cross_entropy": "layers",
    "describe": "description",
    "load": "checkpoint",
    "model_state": "functional",
    "pure": "functional",
    "purity": "inspection",
    "save": "checkpoint",
    "split": "hyperparameters",
    "token_mean": "task",
    "trainable": "functional",
    "value_and_grad": "functional",
}

__all__ = [
    "Advance",
    "Checkpoint",
    "CheckpointError",
    "Dataset",
    "Differentiated",
    "Dropout",
    "Embedding",
    "HyperparameterError",
    "LaneReport",
    "Length",
    "Mean",
    "Population",
    "Program",
    "Purity",
    "Resident",
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
