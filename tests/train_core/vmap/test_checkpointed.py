"""Checkpointed functions: the same gradients in less memory, in lanes too, and the same draws both times."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from tests.train_core.conftest import BASE, Small, against_alone
from tests.train_core.vmap.operations import assert_lanes_equal_alone
from train_core import Length, keys
from train_core.vmap.rules import alone, over_lanes

SHAPES = ((5, 8), (8, 16), (16, 4))


def block(parameters: dict[str, mx.array], x: mx.array) -> tuple[mx.array, mx.array]:
    inner = mx.tanh(mx.tanh(x @ parameters["a"]) @ parameters["b"])
    return inner, (inner * 2).sum(-1)


def kept(x: mx.array, a: mx.array, b: mx.array) -> mx.array:
    inner, total = block({"a": a, "b": b}, x)
    return inner.sum(-1) + total


def twice(x: mx.array, a: mx.array, b: mx.array) -> mx.array:
    inner, total = mx.checkpoint(block)({"a": a, "b": b}, x)
    return inner.sum(-1) + total


def gradients(function: Callable[..., mx.array]) -> list[mx.array]:
    lanes = [mx.random.normal((3, *shape), key=mx.random.key(n)) for n, shape in enumerate(SHAPES)]

    def lane(*arrays: mx.array) -> Any:
        return mx.grad(lambda *a: mx.sin(function(*a)).sum(), argnums=(0, 1, 2))(*arrays)

    found: list[mx.array] = over_lanes(lane)(*lanes)
    return found


def test_invariant_2_gradients_are_those_of_the_function() -> None:
    assert_lanes_equal_alone(twice, *SHAPES)
    for found, expected in zip(gradients(twice), gradients(kept), strict=True):
        np.testing.assert_array_equal(np.array(found), np.array(expected))


@pytest.mark.parametrize("over", [alone, over_lanes])
def test_what_it_draws_is_drawn_again(over: Callable[..., Any]) -> None:
    def total(x: mx.array) -> mx.array:
        with keys.generator(keys.key(3)):
            found: mx.array = mx.checkpoint(lambda x: x * mx.random.bernoulli(0.5, (36,)))(x).sum()
        return found

    value, gradient = over(mx.value_and_grad(total))(mx.ones((36,) if over is alone else (1, 36)))
    assert value.item() == gradient.sum().item()
    assert 0 < value.item() < 36


@pytest.mark.parametrize("over", [alone, over_lanes])
def test_its_inner_values_are_not_kept(over: Callable[..., Any]) -> None:
    def inner(x: mx.array) -> mx.array:
        for _ in range(6):
            x = mx.sin(mx.cumsum(x, axis=-1))
        return x

    def peak(layer: Callable[[mx.array], mx.array]) -> int:
        def deep(x: mx.array) -> mx.array:
            for _ in range(16):
                x = layer(x)
            return x.sum()

        x = mx.ones((2, 5_000) if over is over_lanes else (10_000,))
        compute = over(mx.grad(deep))
        mx.eval(x)
        gc.collect()  # what earlier tests left
        held = mx.get_active_memory()
        limit = mx.set_memory_limit(held)  # a busy GPU frees late what the host does not wait for
        mx.reset_peak_memory()
        mx.eval(compute(x))
        mx.set_memory_limit(limit)
        return mx.get_peak_memory() - held

    found, all_kept = peak(lambda x: mx.checkpoint(inner)(x)), peak(inner)
    assert found < 0.7 * all_kept


class Twice(Small):
    """Small whose hidden layer is checkpointed, dropout and frozen weights in it."""

    def model(self, hidden: int) -> nn.Module:
        model: Any = super().model(hidden)
        model.scale = mx.random.uniform(0.5, 2.0, (hidden,))
        model.freeze(keys=["scale"])
        model.hidden = nn.utils.checkpoint(model.first)
        built: nn.Module = model
        return built

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> train_core.Mean:
        logits = model.out(model.dropout(nn.relu(model.hidden(batch["x"]) * model.scale), hp.dropout))
        return train_core.Mean(train_core.cross_entropy(logits, batch["y"]), batch["w"])


@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_a_task_whose_model_is_built_of_checkpointed_layers() -> None:
    setting = {name: value for name, value in BASE.items() if name != "label_smoothing"}
    against_alone(Twice(), {**setting, "dropout": 0.1}, {**setting, "dropout": 0.4}, length=Length(44, 22))
