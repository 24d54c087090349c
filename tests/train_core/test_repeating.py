"""What repeats bit for bit on a GPU with `deterministic = True`, as docs/train_core.md has it."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import program_of
from train_core import Dataset, Length, Mean, Population, Task, cross_entropy, device, keys, numpy_boundary

SETTING = {"micro_batch_size": 16, "learning_rate": 1e-3, "gradient_clip": 1.0}


class Transformer(nn.Module):
    """Products, norms, attention, and an embedding that many rows share."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(32, 256)
        self.blocks = nn.TransformerEncoder(2, 256, 4)
        self.out = nn.Linear(256, 32)

    def __call__(self, tokens: mx.array) -> mx.array:
        return self.out(self.blocks(self.tokens(tokens), None))


class Sentences(Task):
    """Next tokens by a small transformer."""

    deterministic = True

    def data(self) -> Dataset:
        tokens = np.random.default_rng(0).integers(0, 32, (128, 129)).astype(np.int32)
        return Dataset(train={"tokens": tokens}, validation={"tokens": tokens[:16]})

    def model(self) -> nn.Module:
        return Transformer()

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        tokens = batch["tokens"]
        return Mean(cross_entropy(model(tokens[:, :-1]), tokens[:, 1:]).mean(axis=1))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


@pytest.mark.gpu
@pytest.mark.skipif(device.kind() != "gpu", reason="a CPU adds in one order anyway")
@pytest.mark.parametrize(("precision", "width"), [("float32", 1), ("float32", 2), ("bfloat16", 2)])
def test_a_run_repeats_bit_for_bit(precision: str, width: int) -> None:
    program = program_of(Sentences(), **SETTING, precision=precision)
    examples = 16 * 1000

    def end() -> dict[str, bytes]:
        population = Population(program, width)
        for lane in range(width):
            population.load(
                lane,
                key=keys.fold_in(keys.key(0), lane),
                hyperparameters=SETTING | {"precision": precision},
                length=Length(examples, report_every=examples),
            )
        population.advance(30)
        arrays = population.snapshot(0).arrays
        return {path: numpy_boundary.raw_bytes(array) for path, array in arrays.items()}

    first = end()
    for _ in range(5):
        again = end()
        assert [path for path, held in first.items() if again[path] != held] == []
