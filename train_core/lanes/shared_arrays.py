"""Which arrays of a model all runs share: a frozen base. They are no part of a run's state.

An array is shared when it is frozen, does not depend on the run's key, and no call replaces it, as
running statistics are. Sharing keeps one copy for all lanes and leaves it out of checkpoints.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from train_core import keys
from train_core.errors import TaskError
from train_core.hyperparameters import Static
from train_core.step import functional
from train_core.step.functional import Flat
from train_core.step.precision import DTYPES, cast
from train_core.task import Batch, Hyperparameters, Task, static_values, task_errors


def arrays(task: Task, static: Static, model: nn.Module, other: nn.Module, batch: Batch) -> Flat:
    """Return the shared arrays, in the program's precision; `model`, `other` were built under two keys."""
    held, others = functional.model_state(model), functional.model_state(other)
    candidates = {path for path, leaf in held.items() if _sharable(path, leaf) and _equal(leaf, others[path])}
    if not candidates:
        return {}
    kept = candidates - _replaced(task, static, model, batch)
    shared = {path: cast(held[path], DTYPES[static.precision]) for path in kept}
    mx.eval(shared)  # evaluated arrays are constants of the trace: cast once, not in every step
    return shared


def _sharable(path: str, leaf: mx.array) -> bool:
    """Whether sharing changes no bits: a product with a shared matrix of one row or column does."""
    return 1 not in leaf.shape and not functional.is_statistic(path)


def _equal(one: mx.array, other: mx.array) -> bool:
    if one is other:  # a base that is read once; comparing it would read all of it
        return True
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
    held = functional.model_state(model)
    dtype = DTYPES[static.precision]
    try:
        with (
            functional.bound(model, {}, held, training=True, dtype=dtype) as bound,
            keys.generator(keys.key(0)),
            task_errors(task, "loss"),
        ):
            task.loss(bound.model, batch, _Unknown({}, static_values(static)))
            after = bound.state()
    except TaskError:  # its trials will fail with it too, and say so
        return set(held)
    return {path for path, leaf in held.items() if after[path] is not leaf}
