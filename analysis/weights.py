"""Trained weights out of checkpoint files; the only module here that reaches the training core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec

from analysis.errors import RunError, warn
from runlog.final import Final
from train_core import checkpoint as checkpoints
from train_core import conclusion, inference, loading, reads
from train_core.errors import TrainingError


def weights(path: str) -> dict[str, Any]:
    """The weights of a checkpoint, at a path or a URL, as an MLX tree. Raises RunError."""
    return inference.weight_tree(_checkpoint(path))


def model(path: str, hyperparameters: Mapping[str, Any], task: object) -> Any:
    """The model of a checkpoint with its weights, in evaluation mode; `task` is an instance or a class.

    Raises RunError.
    """
    checkpoint = _checkpoint(path)
    built: Any = task
    try:
        built = built() if isinstance(built, type) else built
        return inference.trained_model(built, hyperparameters, checkpoint)
    except TrainingError as error:
        raise RunError(f"the model of {path} cannot be built: {error}") from error


def final(path: str, hyperparameters: Mapping[str, Any], task: Any, *, samples: bool) -> Final:
    """What is found of a checkpoint on the task's test part, and texts to show. Raises RunError."""
    try:
        found = conclusion.final(task, hyperparameters, _checkpoint(path), samples=samples)
    except TrainingError as error:
        raise RunError(str(error)) from error
    return Final(found.metrics, found.samples)


def export(path: str, hyperparameters: Mapping[str, Any], task: Any, out: Path) -> list[str]:
    """What a checkpoint's task writes for the library that its model comes from. Raises RunError."""
    if not hasattr(task, "export"):
        name = type(task).__name__
        raise RunError(f"the task {name} has no adapter to export; run.model(trial) gives its model")
    try:
        commands: list[str] = task.export(weights(path), hyperparameters, out)
    except TrainingError as error:
        raise RunError(str(error)) from error
    return commands


def load_task(
    folder: str, target: str, recorded_hash: str | None, read: dict[str, dict[str, Any]] | None = None
) -> Any:
    """A study's own task; a warning says where its source is not the recorded one. Raises RunError.

    What the study recorded of the files that it `read` is read instead of these.
    """
    try:
        found = loading.load_task(folder, target, reads.texts(read or {}))
    except loading.NoModelError as error:
        raise RunError(f"task {target} {error}") from error
    except loading.TaskLoadError as error:
        raise RunError(
            f"task {target} cannot be loaded from {folder}: {error}. Pass it: model(trial, task=MyTask)"
        ) from error
    if loading.source_hash(folder, target) not in (None, recorded_hash):
        warn(f"the task {target} in {folder} has changed since the run")
    return found


def warn_of_changes(task: Any, hyperparameters: Mapping[str, Any], read: Mapping[str, Any]) -> None:
    """A warning for each file that a trial read and that is another now, but for texts that were recorded."""
    try:
        found = task.reads(hyperparameters) if read else {}
    except TrainingError as error:
        raise RunError(str(error)) from error
    for name, each in found.items():
        if each.kept or name not in read:
            continue
        try:
            now = reads.fingerprint(each.path)
        except OSError as error:
            warn(f"{name}, which the task reads, cannot be compared: {each.path}: {error.strerror or error}")
            continue
        if now not in (None, read[name]["sha256"]):
            warn(f"{name}, which the task reads, has changed since the run: {each.path}")


def _checkpoint(path: str) -> checkpoints.Checkpoint:
    try:
        return checkpoints.load(_local(path))
    except TrainingError as error:
        raise RunError(str(error)) from error


def _local(path: str) -> str:
    """The path itself, or that of a copy of what lies at a URL."""
    if "://" not in path:
        return path
    try:
        return str(fsspec.open_local(f"simplecache::{path}"))
    except Exception as error:  # each kind of store raises errors of its own
        raise RunError(f"{path}: cannot be fetched from the store: {error}") from error
