"""Which arrays of a model all runs share: a frozen base. They are no part of a run's state.

An array is shared when it is frozen, does not depend on the run's key, and no call replaces it, as
running statistics are. Sharing keeps one copy for all lanes and leaves it out of checkpoints.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from train_core import functional, keys, precision
from train_core.errors import TaskError
from train_core.hyperparameters import Static
from train_core.task import Batch, Hyperparameters, Task, blamed, static_values


def paths(task: Task, static: Static, model: nn.Module, other: nn.Module, batch: Batch) -> set[str]:
    """Return the paths of the shared arrays; `model` and `other` were built under different keys."""
    held, others = functional.fixed(model), functional.fixed(other)
    candidates = {path for path, leaf in held.items() if _sharable(leaf) and _equal(leaf, others[path])}
    return candidates - _replaced(task, static, model, batch) if candidates else set()


def _sharable(leaf: mx.array) -> bool:
    """Whether sharing changes no bits: a product with a shared matrix of one row or column does."""
    return 1 not in leaf.shape


def _equal(one: mx.array, other: mx.array) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(mx.array_equal(one, other, equal_nan=mx.issubdtype(one.dtype, mx.floating)))


class _Unknown(Hyperparameters):
    """Any dynamic hyperparameter, as an array whose value is never looked at."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._static[name] if name in self._static else mx.array(0.5)


def _replaced(task: Task, static: Static, model: nn.Module, batch: Batch) -> set[str]:
    """Return the paths of what a training call replaces; it is traced only, not computed."""
    held = functional.fixed(model)
    dtype = precision.DTYPES[static.precision]
    try:
        with functional.bound(model, held, training=True), keys.generator(keys.key(0)), blamed(task, "loss"):
            task.loss(precision.at_boundary(model, dtype), batch, _Unknown({}, static_values(static)))
            after = functional.read(model, held)
    except (
        TaskError
    ):  # its trials will fail with it, or it needs what only a step gives: then nothing is shared
        return set(held)
    return {path for path, leaf in held.items() if after[path] is not leaf}
