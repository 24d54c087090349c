"""Handwritten digits (8 x 8 pixels, ten classes, 1,797 examples) with a small MLP."""

from __future__ import annotations

from importlib.metadata import files
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from train_core import Dataset, Mean, Task


class MLP(nn.Module):
    """One hidden layer; dropout's rate is an argument, so every trial can have its own."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, hidden)
        self.out = nn.Linear(hidden, 10)
        self.dropout = train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        return self.out(self.dropout(nn.relu(self.hidden(x)), rate))


class Digits(Task):
    """Classify digits; `hidden` is the width of the hidden layer."""

    static = ("hidden",)

    def data(self) -> Dataset:
        # scikit-learn's own table of them; to import scikit-learn would take every worker seconds.
        path = next(file for file in files("scikit-learn") or [] if file.name == "digits.csv.gz")
        digits = np.loadtxt(path.locate(), delimiter=",")
        order = np.random.default_rng(0).permutation(len(digits))
        x = (digits[order, :-1] / 16.0 - 0.5).astype(np.float32)
        y = digits[order, -1].astype(np.int32)
        cut = len(y) * 4 // 5
        return Dataset(train={"x": x[:cut], "y": y[:cut]}, validation={"x": x[cut:], "y": y[cut:]})

    def model(self, hidden: int) -> nn.Module:
        return MLP(hidden)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"], hp.dropout), batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        logits = model(batch["x"], hp.dropout)
        return {
            "accuracy": Mean(mx.argmax(logits, axis=-1) == batch["y"]),
            "loss": Mean(train_core.cross_entropy(logits, batch["y"])),
        }
