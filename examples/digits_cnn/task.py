"""Handwritten digits (8 x 8 pixels, ten classes, 1,797 examples) with a small convolutional network."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from sklearn.datasets import load_digits

import train_core
from train_core import Dataset, Mean, Task


class CNN(nn.Module):
    """Two convolutions, each pooled; the second is normalised over groups of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.norm = nn.GroupNorm(4, 2 * channels, pytorch_compatible=True)
        self.pool = nn.MaxPool2d(2)
        self.out = nn.Linear(8 * channels, 10)
        self.dropout = train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        x = self.pool(nn.relu(self.first(x)))
        x = self.pool(nn.relu(self.norm(self.second(x))))
        return self.out(self.dropout(x.flatten(1), rate))


class DigitsCNN(Task):
    """Classify digits; `channels` is the width of the first convolution."""

    static = ("channels",)

    def data(self) -> Dataset:
        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.target))
        x = (digits.images[order] / 16.0 - 0.5).astype(np.float32)[..., None]
        y = digits.target[order].astype(np.int32)
        cut = len(y) * 4 // 5
        return Dataset(train={"x": x[:cut], "y": y[:cut]}, validation={"x": x[cut:], "y": y[cut:]})

    def model(self, channels: int) -> nn.Module:
        return CNN(channels)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"], hp.dropout), batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        logits = model(batch["x"], hp.dropout)
        return {
            "accuracy": Mean(mx.argmax(logits, axis=-1) == batch["y"]),
            "loss": Mean(train_core.cross_entropy(logits, batch["y"])),
        }
