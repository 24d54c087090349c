"""Three small models over generated data: dense layers, convolutions, attention."""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from train_core import Dataset, Mean, Task

Batch = dict[str, mx.array]
CLASSES, WIDE = 10, 256
PAUSE = "SELFTEST_PAUSE_S"


class Generated(Task):
    """Ten classes of generated examples; a subclass says their shape and builds the model."""

    shape: ClassVar[tuple[int, ...]]
    tokens: ClassVar[int] = 0

    def data(self) -> Dataset:
        random = np.random.default_rng(0)

        def part(size: int) -> dict[str, Any]:
            shape = (size, *self.shape)
            if self.tokens:
                x = random.integers(0, self.tokens, shape).astype(np.int32)
            else:
                x = random.normal(size=shape).astype(np.float32)
            return {"x": x, "y": random.integers(0, CLASSES, size).astype(np.int32)}

        return Dataset(part(512), part(128))

    def loss(self, model: Any, batch: Batch, hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"], hp.dropout), batch["y"]))

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


class Net(nn.Module):
    """Layers, and dropout by rate before the last."""

    def __init__(self, layers: list[Any], out: nn.Linear) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers, self.out, self.dropout = layers, out, train_core.Dropout()

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        for layer in self.layers:
            x = layer(x)
        return self.out(self.dropout(x, rate))


class Attention(nn.Module):
    """Self-attention after a norm, added to its input; of the last place."""

    def __init__(self, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiHeadAttention(width, 4)

    def __call__(self, x: mx.array) -> mx.array:
        y = self.norm(x)
        added: mx.array = x + self.attention(y, y, y)
        return added[:, -1]


class Dense(Generated):
    """64-64-10."""

    shape = (64,)

    def model(self) -> nn.Module:
        return Net([nn.Linear(64, 64), nn.relu], nn.Linear(64, CLASSES))


class Wide(Dense):
    """64-256-10: a step of it takes longer than all that stands around a step."""

    def model(self) -> nn.Module:
        return Net([nn.Linear(64, WIDE), nn.relu], nn.Linear(WIDE, CLASSES))


class Convolution(Generated):
    """A convolution with batch norm over 8 x 8 pixels."""

    shape = (8, 8, 1)

    def model(self) -> nn.Module:
        layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm(8), nn.relu, nn.MaxPool2d(2)]
        return Net([*layers, lambda x: x.flatten(1)], nn.Linear(128, CLASSES))


class Transformer(Generated):
    """An embedding of 32 tokens, and attention over 8 of them."""

    shape, tokens = (8,), 32

    def model(self) -> nn.Module:
        return Net([train_core.Embedding(32, 32), Attention(32)], nn.Linear(32, CLASSES))


MODELS: dict[str, type[Generated]] = {"dense": Dense, "convolution": Convolution, "attention": Transformer}


def settings(trial: int) -> dict[str, object]:
    """A trial's hyperparameters: dynamic ones differ from trial to trial."""
    return {
        "learning_rate": 1e-3 * (1 + trial),
        "weight_decay": 1e-3 * trial,
        "dropout": 0.1 * (trial % 3),
        "accumulation_steps": 1,
        "micro_batch_size": 32,
        "precision": "float32",
        "optimizer": "adamw",
    }


class Pausing(Dense):
    """Sleeps so many seconds a report as PAUSE says, so that there is time to kill a worker."""

    def evaluate(self, model: Any, batch: Batch, hp: Any) -> dict[str, Mean]:
        time.sleep(float(os.environ.get(PAUSE, "0")))
        return super().evaluate(model, batch, hp)
