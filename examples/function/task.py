"""A function as a task: it fits a line, reports each epoch, and resumes from what it saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx


def train(trial: Any) -> Iterator[dict[str, Any]]:
    """Gradient descent on a line; any library may train here."""
    rate, epochs, epoch = trial.params["learning_rate"], 20, 0
    x = mx.random.normal((256,), key=mx.random.key(0))
    y = 3 * x + 1 + 0.1 * mx.random.normal((256,), key=trial.key)  # noise of the trial's own
    weights = mx.zeros((2,))
    if trial.checkpoint is not None:
        weights, epoch = trial.checkpoint["weights"], trial.checkpoint["epoch"]

    def loss(weights: mx.array) -> mx.array:
        return mx.mean((weights[0] * x + weights[1] - y) ** 2)

    while epoch < epochs:
        epoch += 1
        weights = weights - rate * mx.grad(loss)(weights)
        trial.save(weights=weights, epoch=epoch)
        yield {"examples": 256 * epoch, "epoch": epoch, "loss": loss(weights).item()}
