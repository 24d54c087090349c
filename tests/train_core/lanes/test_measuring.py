"""Metrics that a task computes in Python at a report: of each lane alone, and failing alone."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from tests.train_core.conftest import BASE, LENGTH, Small, against_alone, program_of
from train_core import Length, Population, TaskError, TrialError, describe, keys

pytestmark = pytest.mark.usefixtures("uncompiled")


class Measuring(Small):
    """Reports numbers of its parameters that Python has computed, as no traced array would allow."""

    fails_above = 10.0

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> dict[str, float]:
        if hp.dropout.item() > self.fails_above:
            raise ValueError(f"a dropout of {hp.dropout.item():.2f}")
        return {
            "first": model.first.weight.tolist()[0][0],
            "rate": hp.learning_rate.item(),
            "all": most is None,
        }


def test_invariant_2_each_lane_is_measured_as_alone() -> None:
    settings = [BASE | {"learning_rate": 1e-2 * (1 + lane), "hidden": 8} for lane in range(3)]
    against_alone(Measuring(), *settings, length=LENGTH)
    population = Population(program_of(Measuring(), **BASE), 2)
    for lane, setting in enumerate(settings[:2]):
        population.load(lane, key=keys.key(lane), hyperparameters=setting, length=Length(8, 8))
    reports = population.advance().reports
    assert [report.metrics["validation_rate"] for report in reports] == pytest.approx([0.01, 0.02])
    firsts = [float(population.snapshot(n).arrays["parameters.first.weight"][0, 0]) for n in range(2)]
    assert [report.metrics["validation_first"] for report in reports] == firsts
    assert firsts[0] != firsts[1]


def test_a_lane_whose_measure_fails_fails_alone_and_has_not_diverged() -> None:
    task = Measuring()
    task.fails_above = 0.5
    population = Population(program_of(task, **BASE), 2)
    for lane, dropout in enumerate((0.1, 0.6)):
        setting = BASE | {"dropout": dropout}
        population.load(lane, key=keys.key(lane), hyperparameters=setting, length=Length(8, 8))
    good, bad = population.advance().reports
    assert good.error is None
    assert "validation_first" in good.metrics
    assert bad.error is not None
    assert "in Measuring.measure: ValueError: a dropout of 0.60" in bad.error
    assert not bad.diverged
    with pytest.raises(TrialError, match="a dropout"):
        bad.checked()


class Exhausting(Small):
    """Runs out of memory, which says nothing of one lane."""

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> dict[str, float]:
        raise RuntimeError("[metal::malloc] Unable to allocate")


def test_lack_of_memory_is_no_single_lane_s_failure() -> None:
    population = Population(program_of(Exhausting(), **BASE), 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(8, 8))
    with pytest.raises(TaskError, match="Unable to allocate"):
        population.advance()


def test_what_is_measured_is_described_over_one_example() -> None:
    found = describe(Measuring(), BASE)
    assert found["metrics"][-3:] == ["validation_first", "validation_rate", "validation_all"]


class Wrong(Small):
    """Measures what is no metric."""

    given: Any = None

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1.0], r"Wrong\.measure must return a dict of numbers, got \[1\.0\]"),
        ({"a": mx.array(1.0)}, r"Wrong\.measure must return a dict of numbers"),
        ({"loss": 1.0}, r"Wrong: evaluate and measure both report loss; rename one"),
    ],
)
def test_what_is_no_metric_is_said_before_anything_trains(given: Any, said: str) -> None:
    task = Wrong()
    task.given = given
    with pytest.raises(TaskError, match=said):
        describe(task, BASE)
