"""A small language model: a transformer that reads bytes and says which comes next.

The text is Python's own help pages, so that the study runs as it stands; read your own instead.
"""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

import train_core
from train_core import Dataset, Mean, Task

CONTEXT = 32
"""Bytes that the model sees at once."""

TEXT_BYTES = 40_000
"""How much of the text is used: enough to learn something within a minute, raise it for more."""


class LanguageModel(nn.Module):
    """Embeddings, causal transformer blocks, and a score for each possible next byte."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.token = nn.Embedding(256, width)
        self.position = nn.Embedding(CONTEXT, width)
        self.blocks = nn.TransformerEncoder(layers, width, num_heads=4, mlp_dims=2 * width, norm_first=True)
        self.out = nn.Linear(width, 256, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        mask = nn.MultiHeadAttention.create_additive_causal_mask(CONTEXT)
        hidden = self.token(x) + self.position(mx.arange(CONTEXT))
        return self.out(self.blocks(hidden, mask=mask))


class NextByte(Task):
    """Predict the next byte; `width` and `layers` are the transformer's."""

    static = ("width", "layers")

    def data(self) -> Dataset:
        """Windows of the text: `x` holds CONTEXT bytes, `y` the same moved on by one."""
        text = "\n".join(topics.values()).encode()[:TEXT_BYTES]
        tokens = np.frombuffer(text, np.uint8).astype(np.int32)
        starts = np.arange(0, len(tokens) - CONTEXT - 1, CONTEXT)
        windows = tokens[starts[:, None] + np.arange(CONTEXT + 1)]
        x, y = windows[:, :-1], windows[:, 1:]
        cut = len(x) * 9 // 10
        return Dataset(train={"x": x[:cut], "y": y[:cut]}, validation={"x": x[cut:], "y": y[cut:]})

    def model(self, width: int, layers: int) -> nn.Module:
        return LanguageModel(width, layers)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(self._nats(model, batch))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        """Nats a byte, and how many bits that is."""
        nats = self._nats(model, batch)
        return {"loss": Mean(nats), "bits": Mean(nats / np.log(2.0))}

    def _nats(self, model: Any, batch: dict[str, mx.array]) -> mx.array:
        """One value an example: the mean over its bytes."""
        scores, y = model(batch["x"]), batch["y"]
        each = train_core.cross_entropy(scores.reshape(-1, 256), y.reshape(-1))
        return each.reshape(y.shape).mean(axis=1)
