"""Addition modulo a prime with a small transformer: the task that groks (Power et al. 2022).

Some of all pairs are shown in training, the others are validation. Long after it knows the training pairs
by heart, a model with enough weight decay finds the rule: validation accuracy rises from chance to one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from train_core import Dataset, Mean, Task


class Transformer(nn.Module):
    """Reads the tokens `a b =`; the answer is read off the last one."""

    def __init__(self, modulus: int, width: int, layers: int) -> None:
        super().__init__()
        self.token = nn.Embedding(modulus + 1, width)
        self.position = nn.Embedding(3, width)
        self.blocks = nn.TransformerEncoder(layers, width, num_heads=4, mlp_dims=4 * width, norm_first=True)
        self.out = nn.Linear(width, modulus, bias=False)

    def __call__(self, tokens: mx.array) -> mx.array:
        x = self.token(tokens) + self.position(mx.arange(3))
        return self.out(self.blocks(x, mask=None)[:, -1])


class Addition(Task):
    """Given a and b, say (a + b) mod 97; `width` and `layers` are the transformer's."""

    static = ("width", "layers")
    modulus: ClassVar[int] = 97
    shown: ClassVar[float] = 0.4

    def data(self) -> Dataset:
        a, b = np.divmod(np.arange(self.modulus**2, dtype=np.int32), self.modulus)
        equals = np.full_like(a, self.modulus)
        order = np.random.default_rng(0).permutation(len(a))
        x = np.stack([a, b, equals], axis=1)[order]
        y = ((a + b) % self.modulus)[order]
        cut = int(self.shown * len(y))
        return Dataset(train={"x": x[:cut], "y": y[:cut]}, validation={"x": x[cut:], "y": y[cut:]})

    def model(self, width: int, layers: int) -> nn.Module:
        return Transformer(self.modulus, width, layers)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(train_core.cross_entropy(model(batch["x"]), batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        logits = model(batch["x"])
        return {
            "accuracy": Mean(mx.argmax(logits, axis=-1) == batch["y"]),
            "loss": Mean(train_core.cross_entropy(logits, batch["y"])),
        }


class SmallAddition(Addition):
    """Modulo 23, most pairs shown: learnt within a minute on a laptop."""

    modulus = 23
    shown = 0.7
