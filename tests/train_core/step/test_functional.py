"""Modules as functions: what is trained, what is state, and what stays as it was."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import BASE, EXACT, Small, against_alone, assert_close, program_of
from train_core import HyperparameterError, keys, model_state, pure, trainable, value_and_grad
from train_core.step.functional import flatten


class Normed(nn.Module):
    """Batch statistics before a linear layer."""

    def __init__(self, hidden: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(6, hidden)
        self.norm = nn.BatchNorm(hidden)
        self.out = nn.Linear(hidden, 3)

    def __call__(self, x: mx.array, rate: object = None) -> mx.array:
        return self.out(nn.relu(self.norm(self.first(x))))


class Adapted(nn.Module):
    """A frozen linear layer and a trained product of low rank beside it."""

    def __init__(self, hidden: int = 3) -> None:
        super().__init__()
        self.base = nn.Linear(6, 3)
        self.base.freeze()
        self.a = mx.random.normal((6, hidden))
        self.b = mx.zeros((hidden, 3))

    def __call__(self, x: mx.array, rate: object = None) -> mx.array:
        return self.base(x) + x @ self.a @ self.b


def squared(model: Any, x: mx.array, y: mx.array) -> mx.array:
    return mx.square(model(x) - y).sum()


X = mx.random.normal((5, 6), key=keys.key(1)) * 3 + 1
Y = mx.random.normal((5, 3), key=keys.key(2))


def contents(module: nn.Module) -> dict[str, Any]:
    return {path: np.array(leaf) for path, leaf in flatten(module.parameters()).items()}


def test_value_and_grad_over_a_module_equals_mlxs_and_leaves_the_module_alone() -> None:
    model = Adapted()
    model.b = mx.random.normal((3, 3), key=keys.key(3))
    before = contents(model)
    value, gradients, state = value_and_grad(squared, model)(
        trainable(model), model_state(model), X, Y, key=keys.key(0)
    )
    expected, theirs = nn.value_and_grad(model, squared)(model, X, Y)
    assert set(gradients) == {"a", "b"}
    assert set(state) == {"base.weight", "base.bias"}
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    for path, leaf in flatten(theirs).items():
        np.testing.assert_allclose(np.array(gradients[path]), np.array(leaf), rtol=1e-5)
    for path, array in contents(model).items():
        np.testing.assert_array_equal(array, before[path])
    assert model.training


def test_value_and_grad_over_a_dict_equals_mlxs() -> None:
    def loss(parameters: dict[str, Any], x: mx.array) -> mx.array:
        return mx.square(x @ parameters["layer"]["w"] + parameters["b"]).sum()

    parameters = {"layer": {"w": mx.ones((6, 2))}, "b": mx.zeros(2)}
    value, gradients, state = value_and_grad(loss)(parameters, X)
    expected, theirs = mx.value_and_grad(loss)(parameters, X)
    assert state == {}
    assert float(value) == float(expected)
    np.testing.assert_array_equal(np.array(gradients["layer"]["w"]), np.array(theirs["layer"]["w"]))
    np.testing.assert_array_equal(np.array(gradients["b"]), np.array(theirs["b"]))


def test_batch_statistics_move_in_training_and_stay_in_evaluation() -> None:
    model = Normed()
    state = model_state(model)
    assert set(state) == {"norm.running_mean", "norm.running_var"}
    _, gradients, after = value_and_grad(squared, model)(trainable(model), state, X, Y, key=keys.key(0))
    assert set(gradients) == set(trainable(model))
    hidden = np.array(model.first(X), np.float64)
    np.testing.assert_allclose(np.array(after["norm.running_mean"]), 0.1 * hidden.mean(0), rtol=1e-4)
    wanted = 0.9 + 0.1 * hidden.var(0, ddof=1)
    np.testing.assert_allclose(np.array(after["norm.running_var"]), wanted, rtol=1e-4)
    value, same = pure(squared, model)(trainable(model), after, X, Y, key=keys.key(0))
    assert same.keys() == after.keys()
    assert all(same[path] is after[path] for path in after)
    model.update({"norm": {name: after[f"norm.{name}"] for name in ("running_mean", "running_var")}})
    model.eval()
    assert float(value) == pytest.approx(float(squared(model, X, Y)), rel=1e-5)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_statistics_are_float32_at_any_precision_and_frozen_weights_are_cast(precision: str) -> None:
    seen: list[mx.Dtype] = []

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base = nn.Linear(6, 3)
            self.base.freeze()
            self.norm = nn.BatchNorm(3)

        def __call__(self, x: mx.array) -> mx.array:
            seen.extend([x.dtype, self.base.weight.dtype, self.norm.weight.dtype])
            seen.append(self.norm.running_mean.dtype)
            return self.norm(self.base(x * 300))  # squares of these are beyond float16

    with keys.generator(keys.key(3)):
        model = Both()
    run = value_and_grad(squared, model, precision=precision)
    value, gradients, after = run(trainable(model), model_state(model), X, Y, key=keys.key(0))
    dtype = getattr(mx, precision)
    assert seen == [dtype, dtype, dtype, mx.float32]
    assert {leaf.dtype for leaf in (value, *gradients.values(), *after.values())} == {mx.float32}
    _, _, exact = value_and_grad(squared, model)(trainable(model), model_state(model), X, Y, key=keys.key(0))
    np.testing.assert_array_equal(np.array(after["base.weight"]), np.array(model.base.weight))
    for name in ("norm.running_mean", "norm.running_var"):
        np.testing.assert_allclose(np.array(after[name]), np.array(exact[name]), rtol=2e-2, atol=1)
    assert type(model.norm) is nn.BatchNorm


def test_a_modules_methods_compute_in_its_precision_too() -> None:
    def encoded(model: Any, x: mx.array) -> mx.array:
        seen.append(model.first(x).dtype)
        return mx.square(model(x)).sum()

    seen: list[mx.Dtype] = []
    model = Normed()
    pure(encoded, model, precision="bfloat16")(trainable(model), model_state(model), X, key=keys.key(0))
    assert seen == [mx.float32]  # what leaves the model for a loss is float32
    with pytest.raises(HyperparameterError, match="one of float32, float16, bfloat16"):
        pure(encoded, model, precision="half")


def test_one_key_one_result_mapped_and_compiled() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    run = value_and_grad(squared, model)
    parameters, state = trainable(model), model_state(model)
    pair = mx.stack([keys.key(4), keys.key(5)])

    def one(key: mx.array) -> Any:
        return run(parameters, state, X, Y, key=key)

    first, second = one(pair[0]), one(pair[1])
    assert float(first.value) != float(second.value)
    assert float(one(pair[0]).value) == float(first.value)
    mapped = mx.compile(mx.vmap(one))(pair)
    for path, leaf in mapped.gradients.items():
        np.testing.assert_allclose(np.array(leaf[1]), np.array(second.gradients[path]), rtol=1e-4, atol=1e-5)


class NormedTask(Small):
    def model(self, hidden: int) -> nn.Module:
        return Normed(hidden)


class AdaptedTask(Small):
    def model(self, hidden: int) -> nn.Module:
        return Adapted(hidden)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_invariant_2_batch_statistics_in_lanes_equal_those_alone(precision: str) -> None:
    setting = BASE | {"precision": precision}
    if not EXACT:  # a bias before a norm has rounding for a gradient, of which AdamW makes whole steps
        setting |= {"optimizer": "sgd"}
    ends = against_alone(NormedTask(), setting, setting | {"accumulation_steps": 3, "learning_rate": 0.03})
    mean = ends[0].arrays["model.norm.running_mean"]
    assert mean.dtype == mx.float32
    assert float(mx.abs(mean).max()) > 0


@pytest.mark.usefixtures("uncompiled")
def test_evaluation_leaves_batch_statistics_fixed() -> None:
    program = program_of(NormedTask(), **BASE)
    state = program.init(keys.key(0))
    before = {path: np.array(leaf) for path, leaf in state["model"].items()}
    batch = program.data.batch("validation", np.arange(8, dtype=np.uint32))
    hp = {name: mx.array(0.1) for name in ("dropout", "label_smoothing")}
    leaves = program.step.leaves(state["parameters"])
    arguments = leaves, state["model"], keys.key(0), hp, batch
    mx.eval(program.step.evaluate(*arguments, mx.ones(8)))
    for path, array in before.items():
        np.testing.assert_array_equal(np.array(state["model"][path]), array)
    _, _, after = program.step.loss(*arguments[:2], hp, batch, None, keys.key(0))
    assert not np.array_equal(np.array(after["norm.running_mean"]), before["norm.running_mean"])


@pytest.mark.usefixtures("uncompiled")
def test_frozen_parameters_stay_and_their_adapters_learn() -> None:
    (end,) = against_alone(AdaptedTask(), BASE)
    program = program_of(AdaptedTask(), **BASE)
    start = program.step.named(program.init(keys.key(0)))
    for path in ("base.weight", "base.bias"):
        assert_close(end.arrays[f"model.{path}"], start["model"][path], path)
    assert set(start["parameters"]) == {"a", "b"}
    for path in ("a", "b"):
        moved = end.arrays[f"parameters.{path}"] - start["parameters"][path]
        assert float(mx.abs(moved).max()) > 0
