"""A run at a study's end: on the test part the metrics of validation, and nothing of it before."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from tests.train_core.conftest import BASE, Small, finish, program_of
from train_core import Dataset, DeviceDataset, Length, Population, TaskError, describe, final, keys

pytestmark = pytest.mark.usefixtures("uncompiled")


class Parted(Small):
    """The validation part once more as the test part, the other way round, and numbers of its own."""

    given: Any = None

    def data(self) -> Dataset:
        found = super().data()
        assert isinstance(found.validation, dict)
        test = {name: array[::-1] for name, array in found.validation.items()}
        return Dataset(found.train, found.validation, test=test if self.given is None else self.given)

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> dict[str, float]:
        return {"is_test": part == "test"}

    def samples(self, model: Any, hp: Any, most: int | None) -> list[tuple[str, str]]:
        return [("dropout", f"{hp.dropout.item():.1f}"), ("first", str(model.first.weight[0, 0].item()))][
            :most
        ]


def test_a_run_is_tested_as_it_is_validated() -> None:
    population = Population(program_of(Parted(), **BASE), 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(40, 20))
    last = finish(population, 0)[-1]
    assert not [name for name in last.metrics if name.startswith("test_")]
    snapshot = population.snapshot(0)
    found = final(Parted(), BASE, snapshot)
    wanted = {name: value for name, value in last.metrics.items() if name.startswith("validation_")}
    for name, value in wanted.items():
        tested = found.metrics[name.replace("validation_", "test_")]
        assert tested == (1.0 if name.endswith("is_test") else pytest.approx(value, rel=1e-6))
    assert len(found.metrics) == len(wanted)
    weight = snapshot.arrays["parameters.first.weight"][0, 0].item()
    assert found.samples == (("dropout", "0.2"), ("first", str(weight)))
    assert final(Parted(), BASE, snapshot, samples=False).samples == ()


def test_without_a_test_part_there_are_no_metrics() -> None:
    population = Population(program_of(Small(), **BASE), 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(8, 8))
    population.advance()
    assert final(Small(), BASE, population.snapshot(0)) == ({}, ())


def test_what_there_is_to_find_is_described_before_anything_trains() -> None:
    found = describe(Parted(), BASE)
    assert (found["test_size"], found["samples"]) == (17, True)
    found = describe(Small(), BASE)
    assert (found["test_size"], found["samples"]) == (0, False)


def test_a_test_part_that_is_wrong_is_said_before_anything_trains() -> None:
    task = Parted()
    task.given = {"x": mx.zeros((2, 6)), "y": mx.zeros(3)}
    with pytest.raises(TaskError, match=r"Parted\.data: test arrays must have the same number of examples"):
        DeviceDataset.of(task)
