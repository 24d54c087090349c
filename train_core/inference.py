"""A checkpoint's weights as a tree, and a task's model that holds them, ready to be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from train_core import keys
from train_core.checkpoint import Checkpoint
from train_core.errors import CheckpointError
from train_core.step import functional
from train_core.task import Task, split_for, task_errors


def weight_tree(checkpoint: Checkpoint) -> dict[str, Any]:
    """The weights and running statistics as the tree of the model, for `model.update(tree)`."""
    tree: dict[str, Any] = tree_unflatten(list(checkpoint.weights.items()))
    return tree


def trained_model(task: Task, hyperparameters: Mapping[str, object], checkpoint: Checkpoint) -> nn.Module:
    """The task's model with the checkpoint's weights, in evaluation mode and float32.

    The global generator is left as it is. Raises HyperparameterError, TaskError, and CheckpointError where
    the weights are not this model's.
    """
    static, _ = split_for(task, hyperparameters)
    with keys.generator(keys.key(0)), task_errors(task, "model"):
        model = task.model(**dict(static.task))
    wanted = functional.flatten(model.parameters())
    shared = {path for path in functional.model_state(model) if not functional.is_statistic(path)}
    for path in sorted({*wanted, *checkpoint.weights}):
        if path in shared and path not in checkpoint.weights:  # a frozen base, which all trials share
            continue
        shapes = [tuple(tree[path].shape) if path in tree else None for tree in (wanted, checkpoint.weights)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"the weights are not this model's: {path} has shape {shapes[0]} in the model, "
                f"{shapes[1]} in the checkpoint; the task has changed since"
            )
    functional.place(model, checkpoint.weights)
    model.eval()
    mx.eval(model.parameters())  # or the first call would draw and discard the initial parameters' graph
    return model
