"""Groups of parameters: rates and decays are those of optimizers of MLX, one a group, in a loop by hand."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten

import train_core
from tests.train_core.conftest import BASE, Small, against_alone, program_of
from train_core import HyperparameterError, Length, Population, TrialError, keys, split
from train_core.hyperparameters import factors_of

RATE, DECAY, UPDATES, SIZE = 1e-2, 0.3, 4, 10
GROUPS: dict[str, Any] = {
    **{name: value for name, value in BASE.items() if name != "gradient_clip"},
    "dropout": 0.0,
    "learning_rate": RATE,
    "weight_decay": DECAY,
    "micro_batch_size": SIZE,
    "rate_factors": {"out.*": "head", "*.bias": 2},
    "decay_factors": {"*.bias": 0, "out.weight": "less"},
    "head": 3.0,
    "less": 0.5,
}
WANTED = {  # the last pattern that fits counts
    "first.weight": (RATE, DECAY),
    "first.bias": (2 * RATE, 0.0),
    "out.weight": (3 * RATE, 0.5 * DECAY),
    "out.bias": (2 * RATE, 0.0),
}
LENGTH = Length(UPDATES * SIZE, UPDATES * SIZE)


def optimizer_of(name: str, rate: float, decay: float) -> Any:
    match name:
        case "adamw":
            return mlx.optimizers.AdamW(rate, weight_decay=decay, bias_correction=True)
        case "sgd":
            return mlx.optimizers.SGD(rate, weight_decay=decay)
        case "lion":
            return mlx.optimizers.Lion(rate, weight_decay=decay)
        case _:
            return mlx.optimizers.Muon(rate, weight_decay=decay)


def by_hand(name: str, population: Population) -> dict[str, mx.array]:
    """Parameters after MLX's optimizers, one a parameter, each with its own rate and decay."""
    program = population.program
    model: Any = program.build(keys.fold_in(keys.key(0), keys.INIT))
    own = {path: optimizer_of(name, *numbers) for path, numbers in WANTED.items()}

    def loss(model: Any, batch: dict[str, mx.array]) -> mx.array:
        losses = train_core.cross_entropy(model(batch["x"], mx.array(0.0)), batch["y"], 0.1)
        return (losses * batch["w"]).sum() / batch["w"].sum()

    for update in range(UPDATES):
        batch = program.data.batch("train", population._lanes[0].sampler.take(SIZE * update, SIZE))
        gradients: Any = dict(tree_flatten(nn.value_and_grad(model, loss)(model, batch)[1]))
        weights: Any = dict(tree_flatten(model.parameters()))
        for path, optimizer in own.items():
            weights |= optimizer.apply_gradients({path: gradients[path]}, {path: weights[path]})
        model.update(tree_unflatten(list(weights.items())))
    return dict(tree_flatten(model.parameters()))


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", ["adamw", "sgd", "lion", "muon"])
def test_each_group_has_its_own_rate_and_decay(name: str) -> None:
    setting = {**GROUPS, "optimizer": name} | ({"momentum": 0.95} if name == "muon" else {})
    population = Population(program_of(Small(), **setting), 1)
    population.load(0, key=keys.key(0), hyperparameters=setting, length=LENGTH)
    wanted = by_hand(name, population)
    population.advance()
    found = population.snapshot(0).arrays
    for path, leaf in wanted.items():
        np.testing.assert_allclose(
            np.array(found[f"parameters.{path}"]), np.array(leaf), rtol=2e-4, atol=2e-5, err_msg=path
        )


def test_invariants_2_and_4_factors_that_are_searched_are_exact_in_lanes_and_compile_nothing() -> None:
    settings = [{**GROUPS, "optimizer": "adamw", "head": 1.0 + lane, "less": 0.3 * lane} for lane in range(3)]
    ends = against_alone(Small(), *settings, length=LENGTH)
    heads = [np.array(end.arrays["parameters.out.weight"]) for end in ends]
    assert not np.array_equal(heads[0], heads[1])
    program = program_of(Small(), **settings[0])
    for setting in settings:
        population = Population(program, 1)
        population.load(0, key=keys.key(0), hyperparameters=setting, length=LENGTH)
        population.advance()
    assert program.traces == 2  # training and evaluation, each once


def test_factors_of_a_task_and_of_a_trial_are_multiplied() -> None:
    class Own(Small):
        rate_factors = {"out.*": 0.5}  # noqa: RUF012

    ends = []
    for task, factor in ((Own(), "out.weight: 0.5"), (Small(), "out.weight: 0.25, out.bias: 0.5")):
        setting = {**GROUPS, "optimizer": "sgd", "rate_factors": factor, "decay_factors": None}
        population = Population(program_of(task, **setting), 1)
        population.load(0, key=keys.key(0), hyperparameters=setting, length=LENGTH)
        population.advance()
        ends.append(population.snapshot(0).arrays)
    for path, leaf in ends[0].items():
        if path.startswith("parameters."):
            np.testing.assert_allclose(np.array(leaf), np.array(ends[1][path]), rtol=1e-6, err_msg=path)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("*.bias: 0", {"*.bias": 0.0}),
        (" *norm*:0.5 ,a.b : name", {"*norm*": 0.5, "a.b": "name"}),
        ({"*.bias": 0, "b": "name"}, {"*.bias": 0.0, "b": "name"}),
        ("", None),
        ("*.bias", None),
        (": 1", None),
        ("*.bias: -1", None),
        ("*.bias: inf", None),
        ("*.bias: no number", None),
        (3, None),
    ],
)
def test_factors_are_read_from_text_and_from_mappings(value: object, found: object) -> None:
    assert factors_of(value) == found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decay_factors": "*.bias"}, r"decay_factors must be patterns with factors, .* got '\*\.bias'"),
        (
            {"rate_factors": {"*.biass": 1}},
            r"rate_factors: \*\.biass fits no parameter that is trained; there are fi",
        ),
        (
            {"rate_factors": "out.*: tail"},
            r"rate_factors: tail is no number of the trial\. Write it in `space`",
        ),
    ],
)
def test_groups_that_are_wrong_are_a_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((HyperparameterError, TrialError), match=said):
        program_of(Small(), **{**GROUPS, **changes})


def test_trials_without_groups_are_the_program_that_they_were() -> None:
    static, _ = split({}, ())
    assert (static.rate_factors, static.decay_factors) == ("", "")
    assert math.isclose(split({"decay_factors": None}, ())[1]["weight_decay"], 0.01)
    assert "decay_factors" not in program_of(Small(), hidden=8, label_smoothing=0.0).description
