"""The task of a study: `train_core.loading` for a TaskRef."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from sweep.vocabulary.turn import TaskRef
from sweep.worker import neighbours
from train_core import loading
from train_core.loading import TaskLoadError

ASYNC = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)

__all__ = ["TaskLoadError", "load_function", "load_task", "source_hash"]


def load_task(ref: TaskRef) -> Any:
    """An instance of the task's class. Raises TaskLoadError."""
    from train_core.task import Task  # imports MLX

    neighbours.serve(ref.folder)
    task = loading.load_task(ref.folder, ref.target, dict(ref.texts))
    if not isinstance(task, Task):
        name = ref.target.rpartition(":")[2]
        raise TaskLoadError(f"{name} is no Task. Write class {name}(Task), with from train_core import Task")
    return task


def load_function(ref: TaskRef) -> Callable[[Any], Any]:
    """The function that trains a trial. Raises TaskLoadError."""
    neighbours.serve(ref.folder)
    found: Callable[[Any], Any] = loading.load_object(ref.folder, ref.target, "function")
    name = ref.target.rpartition(":")[2]
    if isinstance(found, type):
        raise TaskLoadError(f"{name} is a class, and a task's name begins with a capital letter; rename it")
    if not callable(found):
        raise TaskLoadError(f"{name} is not a function")
    called = (found, type(found).__call__) if not inspect.isroutine(found) else (found,)
    if any(is_async(each) for each in called for is_async in ASYNC):
        raise TaskLoadError(f"{name} is async. Write it as a plain function, with def alone")
    file = inspect.getsourcefile(found) if inspect.isfunction(found) else None
    line = inspect.getsourcelines(found)[1] if file else None
    try:
        inspect.signature(found).bind("trial")
    except TypeError as error:
        raise TaskLoadError(f"{name} is called as {name}(trial): {error}", file, line) from error
    return found


def source_hash(ref: TaskRef) -> str | None:
    """SHA-256 of the task's file; None where it is a module that no file beside the study holds."""
    return loading.source_hash(ref.folder, ref.target)
