"""A small task and populations over it; what is not about compilation runs without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from train_core import Dataset, Mean, Program, Task, split


class Net(nn.Module):
    """One hidden layer, dropout by rate."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, hidden)
        self.out = nn.Linear(hidden, 3)
        self.dropout = train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        return self.out(self.dropout(nn.relu(self.first(x)), rate))


class Small(Task):
    """Three classes from six numbers, 50 + 17 examples: nothing divides evenly."""

    static = ("hidden",)

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        x = random.normal(size=(67, 6)).astype(np.float32)
        y = (x[:, :3].argmax(axis=1)).astype(np.int32)
        w = random.uniform(0.5, 2.0, 67).astype(np.float32)
        arrays = {"x": x, "y": y, "w": w}
        return Dataset(
            train={name: a[:50] for name, a in arrays.items()},
            validation={name: a[50:] for name, a in arrays.items()},
        )

    def model(self, hidden: int) -> nn.Module:
        return Net(hidden)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        logits = model(batch["x"], hp.dropout)
        return Mean(train_core.cross_entropy(logits, batch["y"], hp.label_smoothing), batch["w"])

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        logits = model(batch["x"], hp.dropout)
        return {
            "accuracy": Mean(mx.argmax(logits, axis=-1) == batch["y"]),
            "loss": Mean(train_core.cross_entropy(logits, batch["y"]), batch["w"]),
        }


BASE: dict[str, object] = {
    "hidden": 8,
    "micro_batch_size": 8,
    "learning_rate": 1e-2,
    "dropout": 0.2,
    "label_smoothing": 0.1,
    "gradient_clip": 1.0,
}


def program_of(task: Task, **hyperparameters: object) -> Program:
    """Return the program of one setting."""
    return Program(task, split(hyperparameters, task.static)[0])


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Run compiled functions as plain ones."""
    mx.disable_compile()
    yield
    mx.enable_compile()
