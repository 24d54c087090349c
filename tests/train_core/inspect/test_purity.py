"""Purity: what is wrong with a task, what and where; and that a sound one passes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

import train_core
from tests.train_core.conftest import BASE, Net, Small
from train_core import Mean, Task, purity

HERE = re.escape(Path(__file__).name)


class Overwriting(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        np.asarray(batch["x"])[0] = 0
        return super().loss(model, batch, hp)


class AddingInPlace(Small):
    def augment(self, example: dict[str, mx.array], key: mx.array) -> dict[str, mx.array]:
        example["x"] += 1
        return example


class Rescaling(Small):
    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        weight: Any = memoryview(model.first.weight)
        weight[0, 0] = 3
        return super().evaluate(model, batch, hp)


class DrawingByHand(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        noise = mx.random.normal(batch["x"].shape)
        return super().loss(model, batch | {"x": batch["x"] + noise}, hp)


class Reseeding(Small):
    def augment(self, example: dict[str, mx.array], key: mx.array) -> dict[str, mx.array]:
        mx.random.seed(3)
        return example


class DrawingFromNumpy(Small):
    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        shift = np.random.normal()
        return super().evaluate(model, batch | {"x": batch["x"] + shift}, hp)


class ChoosingByPython(Small):
    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        model.out.bias = model.out.bias + random.random()
        return model


class Unseeded(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        shift = np.random.default_rng().normal()
        return super().loss(model, batch | {"x": batch["x"] + shift}, hp)


class Branching(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        if hp.label_smoothing > 0.05:
            return super().loss(model, batch, hp)
        return Mean(super().loss(model, batch, hp).values)


class BranchingInEvaluation(Small):
    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        rate = float(hp.dropout)
        return {"loss": Mean(model(batch["x"], rate)[:, 0])}


class Reading(Small):
    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        largest = batch["w"].max().item()
        found = super().loss(model, batch, hp)
        return Mean(found.values, batch["w"] / largest)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Overwriting, r'`np\.asarray\(batch\["x"\]\)\[0\] = 0` writes .* batch\["x"\]'),
        (AddingInPlace, r'`example\["x"\] \+= 1` writes .* examples\[0\]\["x"\] and'),
        (Rescaling, r"`weight\[0, 0\] = 3` writes into the buffer of model first\.weight"),
        (DrawingByHand, r"`noise = .*` draws from the global generator by hand"),
        (Reseeding, r"`mx\.random\.seed\(3\)` draws from the global generator"),
        (DrawingFromNumpy, r"`shift = .*` draws from NumPy's global generator"),
        (ChoosingByPython, r"`model\.out.*` draws from Python's global generator"),
        (Branching, r'.* `if hp\.label_smoothing > 0\.05:` .*add "label_smoothing" to `static`'),
        (BranchingInEvaluation, r'.*add "dropout" to `static`'),
        (Reading, r'.* `largest = batch\["w"\].*` uses a traced array, which has none'),
    ],
)
def test_what_is_impure_is_named_with_its_line(task: type[Task], said: str) -> None:
    found = purity(task(), BASE)
    place = rf"{HERE}:\d+: in {task.__name__}(\.\w+)?: "
    assert any(re.search(place + said, problem) for problem in found.problems), found.problems


def test_a_task_that_does_not_repeat_itself_is_named() -> None:
    found = purity(Unseeded(), BASE)
    assert not found.repeatable
    assert "Unseeded: the same key must give the same result" in found.problems[0]


class Layer(nn.Module):
    """A layer of the task's own that draws as nn.Dropout does."""

    def __call__(self, x: mx.array) -> mx.array:
        return x + mx.random.normal(x.shape)


class Sound(Small):
    """Draws where it may: in layers and under the key of `augment`."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        model.first = nn.Sequential(nn.Dropout(0.5), Layer(), nn.Linear(6, hidden))
        return model

    def augment(self, example: dict[str, mx.array], key: mx.array) -> dict[str, mx.array]:
        return {**example, "x": example["x"] + mx.random.normal((6,), key=key)}


class Unchanged(train_core.Dropout):
    def __call__(self, x: mx.array, rate: mx.array | float) -> mx.array:
        return x


class Fixed(Small):
    """Nothing random, and a layer that nothing uses."""

    def model(self, hidden: int) -> nn.Module:
        model = Net(hidden)
        model.spare = nn.Linear(2, 2)
        model.dropout = Unchanged()
        return model


def test_a_sound_task_has_no_problems_and_leaves_every_generator_alone() -> None:
    state: Any = mx.random.state
    before = np.array(state[0]).tolist(), str(np.random.get_state()), random.getstate()
    found = purity(Sound(), BASE)
    assert found.problems == ()
    assert (found.inputs_unchanged, found.generators_undrawn, found.repeatable, found.compiles) == (True,) * 4
    assert found.random
    assert found.vmap_incompatibility is None
    assert found.unreached == ()
    assert (np.array(state[0]).tolist(), str(np.random.get_state()), random.getstate()) == before
    assert json.loads(json.dumps(found.as_json()))["task"] == "Sound"


def test_parameters_without_a_gradient_are_named_and_no_problem() -> None:
    found = purity(Fixed(), BASE)
    assert found.problems == ()
    assert not found.random
    assert found.unreached == ("spare.weight", "spare.bias")


class Deep(Small):
    """As adapters in as many layers as a hyperparameter says; one here is never used."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        model.more, model.spare = mx.zeros((3,)), mx.zeros((3,))
        return model

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        mean = super().loss(model, batch, hp)
        return Mean(mean.values + mx.where(hp.depth >= 2, model.more.sum(), 0.0), mean.weights)


def test_what_a_greater_number_of_layers_reaches_is_not_named() -> None:
    """Fault 32: where one of four layers is adapted at the point that is tried, all others were named."""
    shallow = BASE | {"depth": 1}
    assert purity(Deep(), shallow).unreached == ("more", "spare")
    assert purity(Deep(), shallow, greatest=BASE | {"depth": 2}).unreached == ("spare",)


class Adapter(Small):
    """LoRA: half of its gradients are zero at the first step, and reach it all the same."""

    def model(self, hidden: int) -> nn.Module:
        model = super().model(hidden)
        model.first.freeze()
        model.a, model.b = mx.random.normal((6, 2)), mx.zeros((2, 3))
        return Added(model)


class Added(nn.Module):
    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
        found: mx.array = self.net(x, rate) + x @ self.net.a @ self.net.b
        return found


def test_a_gradient_that_is_zero_at_the_start_only_counts_as_reaching() -> None:
    found = purity(Adapter(), BASE)
    assert (found.problems, found.unreached) == ((), ())


class Waiting(Small):
    """Holds an operation that has no rule for vmap."""

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        found = super().loss(model, batch, hp)
        return Mean(mx.depends([found.values], [batch["x"]])[0], found.weights)


def test_what_stops_vmap_is_named_and_no_problem() -> None:
    found = purity(Waiting(), BASE)
    assert found.problems == ()
    assert found.vmap_incompatibility is not None
    assert "mx.depends" in found.vmap_incompatibility
