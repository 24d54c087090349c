"""Validation against NumPy in float64, and what a run that diverges says."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from tests.train_core.conftest import BASE, TOLERANCE, Small, program_of
from train_core import (
    Dataset,
    Exponential,
    Length,
    Mean,
    Population,
    Task,
    TrialError,
    cross_entropy,
    keys,
    split,
    token_mean,
)
from train_core.step import schedule

pytestmark = pytest.mark.usefixtures("uncompiled")


class Given(Task):
    """Its metrics are its data: values over six orders of magnitude, weights of their own, 67 of them."""

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        v = (10 ** random.uniform(-3, 3, 67)).astype(np.float32)
        arrays = {"v": v, "w": random.uniform(0, 2, 67).astype(np.float32)}
        return Dataset(train=arrays, validation=arrays)

    def model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(model(batch["v"][:, None])[:, 0])

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"plain": Mean(batch["v"]), "weighted": Mean(batch["v"], batch["w"])}


@pytest.mark.parametrize(("micro_batch_size", "width"), [(1, 1), (5, 2), (8, 1), (64, 1)])
def test_validation_is_a_float64_mean_over_unequal_batches(micro_batch_size: int, width: int) -> None:
    hp = {"micro_batch_size": micro_batch_size, "learning_rate": 0.0}
    population = Population(program_of(Given(), **hp), width)
    for lane in range(width):
        population.load(lane, key=keys.key(lane), hyperparameters=hp, length=Length(64, 64))
    data = Given().data().validation
    v, w = (np.asarray(data[name], np.float64) for name in "vw")  # type: ignore[index]
    products = (data["v"] * data["w"]).astype(np.float64)  # type: ignore[index]
    for report in population.advance().reports:
        assert report.metrics["validation_plain"] == pytest.approx(v.mean(), rel=1e-14)
        wanted = products.sum() / w.sum()
        assert report.metrics["validation_weighted"] == pytest.approx(wanted, rel=1e-14 + TOLERANCE)


class Tokens(Task):
    """Sequences of which every example counts another number of tokens, some none."""

    def data(self) -> Dataset:
        random = np.random.default_rng(1)
        tokens = random.integers(0, 7, (30, 6)).astype(np.int32)
        mask = (np.arange(5) < random.integers(0, 6, (30, 1))).astype(np.float32)
        arrays = {"tokens": tokens, "mask": mask}
        return Dataset({k: a[:20] for k, a in arrays.items()}, {k: a[20:] for k, a in arrays.items()})

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7))

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        logits = model(batch["tokens"][:, :-1])
        return token_mean(cross_entropy(logits, batch["tokens"][:, 1:]), batch["mask"])

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


def test_masked_tokens_weigh_as_tokens_in_validation() -> None:
    hp = {"micro_batch_size": 1, "learning_rate": 0.0, "optimizer": "sgd", "weight_decay": 0.0}
    program = program_of(Tokens(), **hp)
    population = Population(program, 1)
    population.load(0, key=keys.key(0), hyperparameters=hp, length=Length(20, 20))
    (report,) = population.advance().reports
    data: Any = Tokens().data().validation
    leaves = program.step.leaves(program.init(keys.key(0))["parameters"])
    table, weight, bias = (np.array(leaf, np.float64) for leaf in leaves.values())
    logits = table[data["tokens"][:, :-1]] @ weight.T + bias
    scores = np.take_along_axis(logits, data["tokens"][:, 1:, None], -1)[..., 0]
    losses = np.log(np.exp(logits).sum(-1)) - scores
    wanted = (losses * data["mask"]).sum() / data["mask"].sum()
    assert report.metrics["validation_loss"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("split_at", [[4, 8], [1, 2, 3], [7], [11]])
def test_invariant_5_holds_with_masked_tokens(split_at: list[int]) -> None:
    program = program_of(Tokens(), optimizer="sgd")
    _, numbers = split({"optimizer": "sgd", "learning_rate": 1.0}, ())
    hp = {name: mx.array(value) for name, value in {**numbers, **schedule.fixed(numbers, 5)}.items()}
    ends = []
    for cuts in ([], split_at):
        state = program.init(keys.key(0))
        for start, stop in zip([0, *cuts], [*cuts, 12], strict=True):
            batch = {name: array[start:stop] for name, array in program.data.train.items()}
            state = program.step.micro_batch(state, hp, batch, None)
        ends.append(program.step.update(state, hp)["parameters"])
    np.testing.assert_allclose(np.array(ends[1]), np.array(ends[0]), atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("k", [1, 3])
def test_a_loss_that_is_not_finite_says_where_and_what_came_before(precision: str, k: int) -> None:
    """The first update throws the parameters far off, so the first micro-batch of update 2 fails."""
    hp = BASE | {"precision": precision, "accumulation_steps": k, "learning_rate": 1e30, "optimizer": "sgd"}
    population = Population(program_of(Small(), **hp), 2)
    population.load(1, key=keys.key(0), hyperparameters=hp, length=Length(80, 80))
    population.advance(k)
    before = population.snapshot(1).arrays
    assert int(before["loss.finite"]) == k
    (report,) = population.advance().reports
    scale = float(population.snapshot(1).arrays["loss_scale.scale"]) if precision == "float16" else None
    scaled = "" if scale is None else f", loss scale {scale:g}"
    said = (
        f"the training loss was not finite in update 2 (micro-batch {k + 1}); the last finite loss was "
        f"{float(before['loss.last']):.6g}{scaled}; a lower learning rate, warm-up or clipping may help"
    )
    assert report.error == said
    with pytest.raises(TrialError, match="not finite in update 2"):
        report.checked()


class Perplexing(Small):
    """Reports a mean, and e to its power."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        loss = super().evaluate(model, batch, hp)["loss"]
        return {"loss": loss, "perplexity": Exponential(*loss), "large": Exponential(loss.values * 1e6)}


def test_an_exponential_metric_is_that_of_the_whole_mean() -> None:
    population = Population(program_of(Perplexing(), **BASE), 2)
    for lane in range(2):
        length = Length(8, 8)
        population.load(lane, key=keys.key(lane), hyperparameters=BASE, length=length)
    reports = population.advance().reports
    for report in reports:
        loss = report.metrics["validation_loss"]
        assert report.metrics["validation_perplexity"] == pytest.approx(np.exp(loss), rel=1e-12)
        assert report.metrics["validation_large"] == np.inf
    assert reports[0].metrics["validation_loss"] != reports[1].metrics["validation_loss"]


class Named(Given):
    """A task with attributes of its own, named as optional methods are."""

    measure, samples, count_tokens = 1, "two", None


def test_an_attribute_that_is_no_method_is_the_tasks_own() -> None:
    hp = {"micro_batch_size": 8, "learning_rate": 0.0}
    population = Population(program_of(Named(), **hp), 1)
    population.load(0, key=keys.key(0), hyperparameters=hp, length=Length(8, 8))
    (report,) = population.advance().reports
    assert set(report.metrics) == {"train_loss", "validation_plain", "validation_weighted"}
