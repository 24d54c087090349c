"""Embeddings without races: the same values, the gradient NumPy gives, the same bits every time."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import BASE, against_alone
from train_core import Dataset, Embedding, Mean, Task, cross_entropy, device, keys
from train_core.step import embedding

ON_GPU = pytest.mark.skipif(device.kind() != "gpu", reason="the CPU adds in one order anyway")


@pytest.mark.parametrize(("rows", "segments"), [(1, 1), (2, 5), (37, 4), (512, 64), (300, 1000)])
def test_segment_sums_equal_numpys(rows: int, segments: int) -> None:
    values = mx.random.normal((rows, 3), key=keys.key(0))
    segment = mx.random.randint(-segments, segments, (rows,), key=keys.key(1))
    wanted = np.zeros((segments, 3))
    np.add.at(wanted, np.array(segment), np.array(values, np.float64))
    found = embedding.segment_sum(values, segment, segments)
    np.testing.assert_allclose(np.array(found), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [mx.int32, mx.uint8, mx.uint32])
def test_the_layer_equals_mlxs(dtype: mx.Dtype) -> None:
    index = mx.random.randint(0, 7, (4, 5), key=keys.key(1)).astype(dtype)
    theirs = nn.Embedding(7, 6)
    ours = Embedding(7, 6)
    ours.weight = theirs.weight
    np.testing.assert_array_equal(np.array(ours(index)), np.array(theirs(index)))
    gradients = [
        nn.value_and_grad(layer, lambda layer=layer: mx.square(layer(index)).sum())()[1]["weight"]
        for layer in (ours, theirs)
    ]
    np.testing.assert_allclose(np.array(gradients[0]), np.array(gradients[1]), rtol=1e-5)


class Bigrams(Task):
    """Predicts a token from the one before; `deterministic` exchanges its nn.Embedding."""

    static = ("hidden",)
    deterministic = True

    def data(self) -> Dataset:
        tokens = np.random.default_rng(0).integers(0, 11, (60, 9)).astype(np.int32)
        return Dataset(train={"tokens": tokens[:50]}, validation={"tokens": tokens[50:]})

    def model(self, hidden: int) -> nn.Module:
        return nn.Sequential(nn.Embedding(11, hidden), nn.Linear(hidden, 11))

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        tokens = batch["tokens"]
        return Mean(cross_entropy(model(tokens[:, :-1]), tokens[:, 1:]).mean(axis=1))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


SETTING = {name: value for name, value in BASE.items() if name != "label_smoothing"}


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_a_deterministic_lane_equals_its_run_alone() -> None:
    against_alone(Bigrams(), SETTING, SETTING | {"accumulation_steps": 2})


def table_gradient(layer: type[nn.Embedding]) -> bytes:
    """The gradient of a table that many rows share, large enough for a GPU to add in any order."""
    rows = 64 if device.kind() == "gpu" else 2
    index = mx.random.randint(0, 16, (rows, 512), key=keys.key(0))
    scale = mx.random.normal((rows, 512, 128), key=keys.key(1))
    model = layer(16, 128)
    model.weight = mx.random.normal((16, 128), key=keys.key(2))
    gradient = nn.value_and_grad(model, lambda: (model(index) * scale).sum())()[1]["weight"]
    return np.array(gradient).tobytes()


def test_gradients_repeat_bit_for_bit() -> None:
    assert len({table_gradient(Embedding) for _ in range(4)}) == 1


@pytest.mark.gpu
@ON_GPU
def test_on_a_gpu_it_is_the_mode_that_makes_them_repeat() -> None:
    if len({table_gradient(nn.Embedding) for _ in range(16)}) == 1:
        pytest.skip("this GPU added in one order 16 times")
