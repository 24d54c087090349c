"""Whatever draws, draws under the run's key: `augment`, layers of MLX, and a task's own bare draws."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, against_alone, program_of
from train_core import Mean, Task, TaskError, keys

pytestmark = pytest.mark.usefixtures("uncompiled")

SETTING = BASE | {"dropout": 0.0}


class Augmented(Small):
    """Shifts every example by noise of its own."""

    def augment(self, example: dict[str, mx.array], key: mx.array) -> dict[str, mx.array]:
        assert example["x"].shape == (6,)
        return {**example, "x": example["x"] + mx.random.normal((6,), key=key)}


class Layered(Small):
    """Layers that draw from MLX's global generator."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        spread = [lambda x: x[..., None], nn.Dropout2d(0.3), lambda x: x[..., 0]]
        model.first = nn.Sequential(*spread, nn.Linear(6, hidden), nn.Dropout(0.4))
        return model

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        pixels = nn.Dropout2d(0.5)(mx.ones((len(batch["x"]), 2, 2, 3)))
        found = super().loss(model, batch, hp)
        return Mean(found.values + pixels.mean(axis=(1, 2, 3)), found.weights)


class Bare(Small):
    """Draws in `loss` with no key at all."""

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        noisy = batch | {"x": batch["x"] + mx.random.normal(batch["x"].shape)}
        return super().loss(model, noisy, hp)


def global_state() -> tuple[int, ...]:
    state: Any = mx.random.state
    return tuple(np.array(state[0], copy=True).tolist())


def loss(task: Task, key: mx.array, compiled: bool = False) -> float:
    program = program_of(task, **SETTING)
    state = program.init(keys.key(0))
    batch = program.data.batch("train", np.arange(8, dtype=np.uint32))
    hp = {name: mx.array(value) for name, value in {"dropout": 0.0, "label_smoothing": 0.1}.items()}
    leaves = program.step.leaves(state["parameters"])

    def total(key: mx.array) -> mx.array:
        augmented = program.step.augmented(batch, key)
        return program.step.loss(leaves, state["model"], hp, augmented, None, key)[0]

    if not compiled:
        return float(total(key))
    mx.enable_compile()
    return float(mx.compile(total)(key))


@pytest.mark.parametrize("task", [Augmented, Layered, Bare])
def test_invariant_7_draws_follow_the_key_and_leave_the_global_generator(task: type[Small]) -> None:
    before = global_state()
    first, again = loss(task(), keys.key(1)), loss(task(), keys.key(1))
    other, compiled = loss(task(), keys.key(2)), loss(task(), keys.key(1), compiled=True)
    assert first == again
    assert first != other
    assert compiled == pytest.approx(first, rel=1e-5)
    assert global_state() == before


@pytest.mark.slow
@pytest.mark.parametrize("task", [Augmented, Layered, Bare])
def test_invariant_2_random_lanes_equal_their_runs_alone(task: type[Small]) -> None:
    before = global_state()
    against_alone(task(), SETTING, SETTING | {"accumulation_steps": 2})
    assert global_state() == before


def test_each_example_is_augmented_under_its_own_subkey() -> None:
    program = program_of(Augmented(), **SETTING)
    batch = {"x": mx.zeros((5, 6)), "y": mx.arange(5)}
    found = program.step.augmented(batch, keys.key(3))
    wanted = [mx.random.normal((6,), key=k) for k in mx.random.split(keys.key(3), 5)]
    np.testing.assert_array_equal(np.array(found["x"]), np.array(mx.stack(wanted)))
    np.testing.assert_array_equal(np.array(found["y"]), np.arange(5))
    keyed = mx.vmap(program.step.augmented, in_axes=(None, 0))(batch, mx.stack([keys.key(3), keys.key(4)]))
    np.testing.assert_array_equal(np.array(keyed["x"][0]), np.array(found["x"]))
    assert not np.array_equal(np.array(keyed["x"][1]), np.array(found["x"]))


def test_validation_is_not_augmented() -> None:
    program = program_of(Augmented(), **SETTING)
    state, hp = program.init(keys.key(0)), {name: mx.array(0.0) for name in ("dropout", "label_smoothing")}
    batch = program.data.batch("validation", np.arange(8, dtype=np.uint32))
    plain, leaves = program_of(Small(), **SETTING).step.evaluate, program.step.leaves(state["parameters"])
    for key in (keys.key(1), keys.key(2)):
        found = program.step.evaluate(leaves, state["model"], key, hp, batch, mx.ones(8))
        wanted = plain(leaves, state["model"], key, hp, batch, mx.ones(8))
        np.testing.assert_array_equal(np.array(found["loss"][0]), np.array(wanted["loss"][0]))


class Breaking(Small):
    def augment(self, example: dict[str, mx.array], key: mx.array) -> dict[str, mx.array]:
        return {"x": example["pixels"]}


def test_an_error_in_augment_is_named_with_its_place() -> None:
    with pytest.raises(TaskError, match=r"test_randomness\.py:\d+: in Breaking\.augment: KeyError: 'pixels'"):
        loss(Breaking(), keys.key(0))
