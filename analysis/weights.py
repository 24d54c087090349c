"""Trained weights out of a run's checkpoints; the only module here that reaches the training core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec

from analysis.errors import RunError, warn
from train_core import checkpoint as checkpoints
from train_core import inference, loading
from train_core.errors import TrainingError

if TYPE_CHECKING:
    from analysis.run import Run


def weights(run: Run, trial: int, replicate: int) -> dict[str, Any]:
    """A trial's weights as an MLX tree. Raises RunError."""
    return inference.weight_tree(_checkpoint(run, trial, replicate))


def model(run: Run, trial: int, replicate: int, *, task: object = None) -> Any:
    """A trial's model with its weights, in evaluation mode. Raises RunError."""
    checkpoint = _checkpoint(run, trial, replicate)
    found: Any = _task(run) if task is None else task
    hyperparameters = run.study.trials[trial].hyperparameters
    try:
        built = found() if isinstance(found, type) else found
        return inference.trained_model(built, hyperparameters, checkpoint)
    except TrainingError as error:
        raise RunError(f"{run.path}: the model of trial {trial} cannot be built: {error}") from error


def _checkpoint(run: Run, trial: int, replicate: int) -> checkpoints.Checkpoint:
    kept = run.checkpoints
    own = kept[(kept["trial"] == trial) & (kept["replicate"] == replicate)]
    if own.empty:
        there = ", ".join(str(number) for number in sorted(set(kept["trial"]))) or "none"
        raise RunError(
            f"{run.path}: trial {trial}, replicate {replicate} has no checkpoint; there are those of trials: "
            f"{there} (`checkpoints.keep_best` of the study file says how many stay)"
        )
    path = own.sort_values("examples")["path"].iloc[-1]
    try:
        return checkpoints.load(_local(path))
    except TrainingError as error:
        raise RunError(str(error)) from error


def _local(path: str) -> str:
    """The path itself, or of a copy of what lies at a URL."""
    if "://" not in path:
        return path
    try:
        return str(fsspec.open_local(f"simplecache::{path}"))
    except Exception as error:  # each kind of store raises errors of its own
        raise RunError(f"{path}: cannot be fetched from the store: {error}") from error


def _task(run: Run) -> Any:
    """The study's own task, from the folder where its study file lay when it last ran."""
    target, folder = run.study_file.values.get("task"), run.provenance.get("folder")
    if not isinstance(target, str) or not isinstance(folder, str):
        raise RunError(f"{run.path}: does not say where its task lies; give it: model(trial, task=MyTask)")
    try:
        found = loading.load_task(folder, target)
    except loading.TaskLoadError as error:
        raise RunError(
            f"{run.path}: its task {target} cannot be had from {folder}: {error}; "
            "give it: model(trial, task=MyTask)"
        ) from error
    if loading.source_hash(folder, target) not in (None, run.provenance.get("task_sha256")):
        warn(f"{run.path}: the task {target} in {folder} has changed since the run")
    return found
