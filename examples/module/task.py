"""A model of your own: any `nn.Module`, any arrays. Replace data, model and loss; keep the four methods.

Here a small network learns a made-up function of four numbers, so that the study runs as it stands.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from train_core import Dataset, Mean, Task


class Network(nn.Module):
    """Layers of one width, as many as `depth` says."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        sizes = [4, *[width] * depth]
        self.layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.out = nn.Linear(width, 1)

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers:
            x = nn.gelu(layer(x))
        return self.out(x)[:, 0]


class Regression(Task):
    """Predict y from x; `width` and `depth` are what the model is built from."""

    static = ("width", "depth")  # hyperparameters that `model` takes; all others reach `loss` in `hp`

    def data(self) -> Dataset:
        """Dicts of arrays; the first axis counts examples. Read your own files here."""
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, (2000, 4)).astype(np.float32)
        y = np.sin(3 * x[:, 0]) * x[:, 1] + x[:, 2] ** 2 + 0.05 * rng.normal(size=len(x))
        y = y.astype(np.float32)
        return Dataset(train={"x": x[:1600], "y": y[:1600]}, validation={"x": x[1600:], "y": y[1600:]})

    def model(self, width: int, depth: int) -> nn.Module:
        return Network(width, depth)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        """One value an example, not reduced: the core takes the mean over whole updates."""
        return Mean(mx.square(model(batch["x"]) - batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        """What is measured on the validation examples; `loss` is reported as `validation_loss`."""
        error = model(batch["x"]) - batch["y"]
        return {"loss": Mean(mx.square(error)), "absolute": Mean(mx.abs(error))}
