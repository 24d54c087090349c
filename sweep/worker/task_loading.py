"""The task of a study: `train_core.loading` for a TaskRef."""

from __future__ import annotations

from typing import Any

from sweep.vocabulary.turn import TaskRef
from sweep.worker import neighbours
from train_core import loading
from train_core.loading import TaskLoadError

__all__ = ["TaskLoadError", "load_task", "source_hash"]


def load_task(ref: TaskRef) -> Any:
    """An instance of the task's class. Raises TaskLoadError."""
    neighbours.serve(ref.folder)
    return loading.load_task(ref.folder, ref.target)


def source_hash(ref: TaskRef) -> str | None:
    """SHA-256 of the task's file; None where it is a module that no file beside the study holds."""
    return loading.source_hash(ref.folder, ref.target)
