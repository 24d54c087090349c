"""The example task: learnable, described, and importable from its file alone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.train_core.conftest import program_of
from train_core import Length, Population, Task, describe, keys

FILE = Path(__file__).parents[2] / "examples" / "digits" / "task.py"
GOOD: dict[str, object] = {"hidden": 64, "learning_rate": 1e-2, "dropout": 0.1, "schedule": "cosine"}


@pytest.fixture
def digits() -> Task:
    spec = importlib.util.spec_from_file_location("digits_task", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    task: Task = module.Digits()
    return task


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.slow
def test_twenty_epochs_of_digits_reach_97_percent(digits: Task) -> None:
    program = program_of(digits, **GOOD)
    size = program.data.train_size
    population = Population(program, 1)
    population.load(0, key=keys.key(0), hyperparameters=GOOD, length=Length(20 * size, 20 * size))
    (report,) = population.advance().reports
    assert report.finished
    assert report.metrics["validation_accuracy"] >= 0.97


def test_describe_says_what_a_driver_needs(digits: Task) -> None:
    facts = json.loads(json.dumps(describe(digits, GOOD)))
    of_the_core = ["decay_factors", "micro_batch_size", "optimizer", "precision", "rate_factors"]
    assert facts["static"] == sorted(["hidden", *of_the_core])
    assert facts["metrics"] == ["train_loss", "validation_accuracy", "validation_loss"]
    assert (facts["train_size"], facts["validation_size"]) == (1437, 360)
    assert facts["dynamic"] == ["dropout"]
    assert facts["vmap"] is True
