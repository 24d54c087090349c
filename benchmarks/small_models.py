"""The small models that `benchmarks/lanes.py` trains, each a task over generated data."""

from __future__ import annotations

from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from train_core import Dataset, Mean, Task

Batch = dict[str, mx.array]


class Classification(Task):
    """Ten classes by cross-entropy; a subclass says what an example looks like and builds the model."""

    shape: ClassVar[tuple[int, ...]]
    tokens: ClassVar[int] = 0
    sizes: ClassVar[tuple[int, int]] = (1437, 360)

    def data(self) -> Dataset:
        random = np.random.default_rng(0)

        def part(size: int) -> dict[str, Any]:
            shape = (size, *self.shape)
            if self.tokens:
                x = random.integers(0, self.tokens, shape).astype(np.int32)
            else:
                x = random.normal(size=shape).astype(np.float32)
            return {"x": x, "y": random.integers(0, 10, size).astype(np.int32)}

        train, validation = self.sizes
        return Dataset(part(train), part(validation))

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"]), batch["y"]))

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


class MLP(Classification):
    """64-64-10."""

    shape = (64,)

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.relu, nn.Linear(64, 10))


class Digits(Classification):
    """The MLP of `examples/digits`, dropout by rate, on data of its size."""

    shape = (64,)

    def model(self) -> nn.Module:
        return Dropped()

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"], hp.dropout), batch["y"]))


class Dropped(nn.Module):
    """64-64-10 with dropout."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.hidden = nn.Linear(64, 64)
        self.out = nn.Linear(64, 10)
        self.dropout = train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        return self.out(self.dropout(nn.relu(self.hidden(x)), rate))


class Transformer(Classification):
    """Two layers of width 128 over 8 tokens."""

    shape = (8,)
    tokens = 97

    def model(self) -> nn.Module:
        blocks = nn.TransformerEncoder(2, 128, 4, mlp_dims=512, norm_first=True)
        return nn.Sequential(nn.Embedding(97, 128), Last(blocks), nn.Linear(128, 10))


class Last(nn.Module):
    """What a transformer makes of the last token."""

    def __init__(self, blocks: nn.TransformerEncoder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.blocks = blocks

    def __call__(self, x: mx.array) -> mx.array:
        last: mx.array = self.blocks(x, None)[:, -1]
        return last


class CNN(Classification):
    """Two convolutions over 8 x 8 pixels."""

    shape = (8, 8, 1)

    def model(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.relu,
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.GroupNorm(4, 32, pytorch_compatible=True),
            nn.relu,
            nn.MaxPool2d(2),
            lambda x: x.flatten(1),
            nn.Linear(128, 10),
        )
