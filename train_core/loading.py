"""From a task's reference to the class a user wrote, with errors that name the user's own line.

A reference is `file.py:Class`, a file in a folder that goes with it, or `package.module:Class`. Standard
library only.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from train_core.written_at import own_frame


class TaskLoadError(Exception):
    """A task could not be loaded: `problem` says why, `file` and `line` where, if known."""

    def __init__(self, problem: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(problem, file, line)
        self.problem, self.file, self.line = problem, file, line

    def __str__(self) -> str:
        return self.problem


class NoModelError(TaskLoadError):
    """A function stands where a task's class is needed."""


class _FromSource(SourceFileLoader):
    """Compiles the file as it is: cached bytecode of the same second and size may be of other source."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def load_task(folder: str, target: str, recorded: Mapping[str, str] | None = None) -> Any:
    """An instance of the task's class, given the `recorded` texts of files. Raises TaskLoadError."""
    found = load_object(folder, target, "class")
    if inspect.isroutine(found):
        raise NoModelError("is a function, which gives no model; its trials' checkpoints hold what it saved")
    try:
        task = found()
        task.folder = Path(folder)
        task.recorded = recorded or {}
        return task
    except Exception as error:
        name = target.rpartition(":")[2]
        raise _own_error(error, f"{name}() cannot be built without arguments") from error


def load_object(folder: str, target: str, kind: str) -> Any:
    """What a reference names, called `kind` in messages. Raises TaskLoadError."""
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise TaskLoadError(f"{target!r} is not a task: write file.py:Class or package.module:Class")
    if place == "__main__":
        raise TaskLoadError(
            f"{name} of __main__, a notebook or a script, is known to no other process. "
            f"Pass it itself, task={name}, or write it into a file and name that: file.py:{name}"
        )
    module = _import(folder, place)
    found = getattr(module, name, None)
    if found is None:
        names = [key for key, value in vars(module).items() if callable(value)]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise TaskLoadError(f"{place} has no {kind} {name}{hint}", getattr(module, "__file__", None))
    return found


def source_hash(folder: str, target: str) -> str | None:
    """SHA-256 of the task's file; None where it is a module that no file in the folder holds."""
    place = target.rpartition(":")[0]
    path = Path(folder, place if place.endswith(".py") else place.replace(".", "/") + ".py")
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _import(folder: str, place: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except Exception as error:
            raise _own_error(error, f"the module {place} does not import") from error
    path = Path(folder, place)
    if not path.is_file():
        raise TaskLoadError(f"there is no file {path}", str(path))
    name = f"sweep_task_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    if spec is None or spec.loader is None:
        raise TaskLoadError(f"{path} is not a Python file", str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _own_error(error, f"{path.name} does not import") from error
    return module


def _own_error(error: Exception, what: str) -> TaskLoadError:
    """The user's error in one line, with the innermost line of it that is not a library's."""
    if isinstance(error, SyntaxError):
        return TaskLoadError(f"{what}: SyntaxError: {error.msg}", error.filename, error.lineno)
    frame = own_frame(error.__traceback__, (__file__,))
    problem = f"{what}: {type(error).__name__}: {error}"
    return TaskLoadError(problem, *((frame.filename, frame.lineno) if frame is not None else ()))
