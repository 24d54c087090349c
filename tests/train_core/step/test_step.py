"""The step's arithmetic: accumulation, purity, and what it says about a task's mistakes."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from tests.train_core.conftest import BASE, TOLERANCE, Small, program_of
from train_core import HyperparameterError, Length, Mean, Population, Program, TaskError, keys, split
from train_core.hyperparameters import OPTIMIZERS
from train_core.step import schedule
from train_core.step.step import LaneState

EXACT = BASE | {"dropout": 0.0}


def inputs(**changes: object) -> dict[str, mx.array]:
    _, dynamic = split(EXACT | changes, Small.static)
    return {name: mx.array(value) for name, value in {**dynamic, **schedule.fixed(dynamic, 10)}.items()}


def updated(program: Program, split_at: list[int], hp: dict[str, mx.array]) -> LaneState:
    """Return the state after one update from the first examples, split into micro-batches there."""
    state = program.init(keys.key(0))
    for start, stop in zip([0, *split_at], [*split_at, 24], strict=True):
        batch = {name: array[start:stop] for name, array in program.data.train.items()}
        state = program.step.micro_batch(state, hp, batch, None)
    return program.step.update(state, hp)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("split_at", [[8, 16], [1], [5, 6, 23], list(range(1, 24))])
def test_invariant_5_any_split_of_a_batch_gives_the_full_batchs_update(split_at: list[int]) -> None:
    program, hp = program_of(Small(), **EXACT), inputs()
    ends = [updated(program, cuts, hp) for cuts in ([], split_at)]
    whole, parts = (program.step.named(end) for end in ends)
    moved = program.step.named(updated(program, [], hp | {"learning_rate": mx.array(0.0)}))
    for path, leaf in whole["parameters"].items():
        assert not np.array_equal(np.array(leaf), np.array(moved["parameters"][path]))
        np.testing.assert_allclose(np.array(parts["parameters"][path]), np.array(leaf), atol=1e-6)
        moment, expected = parts["optimizer"][path]["m"], whole["optimizer"][path]["m"]
        np.testing.assert_allclose(np.array(moment), np.array(expected), rtol=2e-4, atol=1e-8)


@pytest.mark.usefixtures("uncompiled")
def test_invariant_7_a_step_touches_neither_the_global_generator_nor_its_inputs() -> None:
    program, hp = program_of(Small(), **BASE), inputs(dropout=0.3)
    state = program.init(keys.key(0))
    batch = {name: array[:8] for name, array in program.data.train.items()}
    held = [*tree_flatten(state), *batch.items(), *hp.items()]
    before = [np.array(leaf, copy=True) for _, leaf in held]
    random: Any = mx.random.state
    generator = np.array(random[0], copy=True)
    after = program.step.update(program.step.micro_batch(state, hp, batch, None), hp)
    mx.eval(after)
    population = Population(program, 2)
    population.load(0, key=keys.key(1), hyperparameters=BASE, length=Length(40, 20))
    population.advance()
    np.testing.assert_array_equal(np.array(random[0], copy=True), generator)
    for (path, leaf), old in zip(held, before, strict=True):
        np.testing.assert_array_equal(np.array(leaf, copy=True), old, err_msg=path)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_learns_and_lanes_equal_single_runs(optimizer: str) -> None:
    chosen = BASE | {"optimizer": optimizer, "momentum": 0.5, "weight_decay": 0.01, "learning_rate": 3e-3}
    program = program_of(Small(), **chosen)
    ends = []
    for width in (1, 2):
        population = Population(program, width)
        for lane in range(width):
            hp = chosen | {"accumulation_steps": width - lane}
            population.load(lane, key=keys.key(0), hyperparameters=hp, length=Length(100, 100))
        population.advance()
        ends.append(population.snapshot(width - 1).arrays)
    start = dict(tree_flatten(program.step.named(program.init(keys.key(0)))))
    for path, leaf in ends[0].items():
        tolerance = 1e-5 if optimizer == "adafactor" else TOLERANCE  # its means round differently in lanes
        np.testing.assert_allclose(np.array(leaf), np.array(ends[1][path]), rtol=tolerance, atol=tolerance)
    assert not np.array_equal(
        np.array(start["parameters.out.weight"]), np.array(ends[0]["parameters.out.weight"])
    )


def advance(task: Small, **changes: object) -> None:
    program = program_of(task, **(BASE | changes))
    population = Population(program, 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE | changes, length=Length(40, 20))
    population.advance()


class Branching(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        if hp.label_smoothing > 0:  # a Python branch on a traced array
            return super().loss(model, batch, hp)
        raise AssertionError


class Counting(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        depth = hp.depth
        for _ in range(depth):
            pass
        return super().loss(model, batch, hp)


class Misspelling(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(model(batch["x"], hp.droput)[:, 0])


class Reducing(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(super().loss(model, batch, hp).values.mean())


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            Branching,
            r"test_step\.py:\d+: in Branching\.loss: .*hp\.label_smoothing > 0.*"
            r'add "label_smoothing" to `static`',
        ),
        (Counting, r'test_step\.py:\d+: in Counting\.loss: .*add "depth" to `static`'),
        (Misspelling, r"test_step\.py:\d+: in Misspelling\.loss: hp\.droput: .*there are .*dropout"),
        (Reducing, r"Reducing\.loss must return one value per example, shape \(8,\)"),
    ],
)
def test_a_tasks_mistake_is_named_with_its_place_and_remedy(task: type[Small], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        advance(task(), depth=2)


def test_unknown_values_name_the_known_ones() -> None:
    with pytest.raises(HyperparameterError, match=r"optimizer must be one of .*adamw.*, got 'adamq'"):
        split(BASE | {"optimizer": "adamq"}, ("hidden",))
    with pytest.raises(HyperparameterError, match="precision must be one of float32, float16, bfloat16"):
        split(BASE | {"precision": "float8"}, ("hidden",))
    for value in (2847683907, 1e39, 1e-50, 2**200):  # float32 holds none of them
        with pytest.raises(HyperparameterError, match="smoothing must be a number that float32 holds"):
            split(BASE | {"smoothing": value}, ("hidden",))
    with pytest.raises(HyperparameterError, match='add "activation" to `static`'):
        split(BASE | {"activation": "relu"}, ("hidden",))
