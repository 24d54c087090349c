"""Every optimizer of MLX through the adapter, against itself stepping eagerly with Python numbers."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
import pytest

from tests.train_core.conftest import assert_close
from train_core import keys
from train_core.hyperparameters import OPTIMIZERS
from train_core.step.optim import Optimizer
from train_core.step.vector import Layout

SHAPES = {"w": (3, 8), "square": (4, 4), "tall": (8, 3), "b": (5,)}
EXTRA: dict[str, dict[str, Any]] = {"adafactor": {"relative_step": False}}
# Numbers that float32 holds exactly, so that Python's 1 - beta is the traced one.
EXACT = {"learning_rate": 2**-6, "beta_1": 0.75, "beta_2": 0.875, "momentum": 0.5, "weight_decay": 2**-5,
         "bias_correction": 1.0, "optimizer_eps": 2**-10}  # fmt: skip
USUAL = {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "momentum": 0.9, "weight_decay": 0.01,
         "bias_correction": 1.0, "optimizer_eps": 1e-8}  # fmt: skip


def normal(seed: int) -> dict[str, mx.array]:
    return {
        p: mx.random.normal(s, key=keys.fold_in(keys.key(seed), i)) for i, (p, s) in enumerate(SHAPES.items())
    }


def theirs(name: str, numbers: dict[str, float], steps: int) -> dict[str, mx.array]:
    optimizer: Any = getattr(mlx.optimizers, OPTIMIZERS[name].class_name)(
        learning_rate=numbers["learning_rate"], **EXTRA.get(name, {})
    )
    if hasattr(optimizer, "betas"):
        optimizer.betas = [numbers["beta_1"], numbers["beta_2"]]
    for attribute in ("momentum", "weight_decay"):
        if hasattr(optimizer, attribute):
            setattr(optimizer, attribute, numbers[attribute])
    if name in ("adam", "adamw"):
        optimizer.bias_correction = bool(numbers["bias_correction"])
    if isinstance(getattr(optimizer, "eps", None), float):
        optimizer.eps = numbers["optimizer_eps"]
    parameters = normal(0)
    for step in range(steps):
        gradients = normal(1 + step)
        if not hasattr(optimizer, "weight_decay"):  # the adapter adds the L2 penalty's gradient
            gradients = {p: g + numbers["weight_decay"] * parameters[p] for p, g in gradients.items()}
        parameters = optimizer.apply_gradients(gradients, parameters)
    return parameters


def ours(name: str, numbers: dict[str, float], steps: int) -> dict[str, mx.array]:
    layout = Layout.of(normal(0))
    optimizer, parameters = Optimizer(name, layout), layout.join(normal(0))
    state = optimizer.init(parameters)
    hp = {number: mx.array(value) for number, value in numbers.items()}
    for step in range(steps):
        gradient = layout.join(normal(1 + step))
        parameters, state = optimizer.update(parameters, gradient, state, hp, hp["learning_rate"])
    return layout.split(parameters)


@pytest.mark.parametrize(("decay", "corrected"), [(0.0, 0.0), (2**-5, 1.0)])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_adapter_steps_as_mlx_does_eagerly(name: str, decay: float, corrected: float) -> None:
    numbers = EXACT | {"weight_decay": decay, "bias_correction": corrected}
    found, wanted = ours(name, numbers, 4), theirs(name, numbers, 4)
    for path, leaf in wanted.items():
        if name == "muon" and path == "tall":  # laid out otherwise than MLX does, see optim.Muon
            np.testing.assert_allclose(np.array(found[path]), np.array(leaf), atol=1e-6)
        else:
            assert_close(found[path], leaf, path)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_with_usual_numbers_only_the_rounding_of_1_minus_beta_differs(name: str) -> None:
    found, wanted, start = ours(name, USUAL, 4), theirs(name, USUAL, 4), normal(0)
    for path, leaf in wanted.items():
        moved = np.abs(np.array(leaf - start[path])).max()
        assert moved > 0
        np.testing.assert_allclose(
            np.array(found[path]), np.array(leaf), rtol=0, atol=2e-4 * moved, err_msg=path
        )


@pytest.mark.parametrize("shape", [(8, 6), (64, 10), (6, 8), (30, 1)])
def test_muon_is_the_same_mapped_over_lanes(shape: tuple[int, int]) -> None:
    optimizer: Any = Optimizer("muon", Layout.of(normal(0)))._make()
    updates = mx.random.normal((3, *shape), key=keys.key(0))

    def orthogonal(update: mx.array) -> mx.array:
        found: mx.array = optimizer._zeropower_via_newtonschulz5(update, 5)
        return found

    mapped = mx.vmap(orthogonal)(updates)
    alone = mx.stack([orthogonal(update) for update in updates])
    assert_close(mapped, alone)
