"""A run that is killed again and again: what a file holds is all that its continuation depends on."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, program_of
from train_core import Length, Population, Program, keys, load, save

LENGTH = Length(examples=700, report_every=150)  # 88 micro-batches of 8, the last one of 4
SETTING = BASE | {"accumulation_steps": 3, "schedule": "cosine", "warmup_fraction": 0.1}
KEY = keys.fold_in(keys.key(0), 5)


def started(program: Program) -> Population:
    population = Population(program, 1)
    population.load(0, key=KEY, hyperparameters=SETTING, length=LENGTH)
    return population


def trained(population: Population, micro_batches: int) -> list[dict[str, float]]:
    """Train so many micro-batches; return the metrics of the boundaries reached."""
    metrics = []
    while micro_batches:
        advance = population.advance(micro_batches)
        micro_batches -= advance.micro_batches
        metrics += [dict(report.metrics) for report in advance.reports]
    return metrics


@pytest.mark.slow
def test_invariant_3_killed_at_30_random_micro_batches_equals_uninterrupted(tmp_path: Path) -> None:
    total = 88
    program = program_of(Small(), **SETTING)
    whole = started(program)
    expected = trained(whole, total)
    stops = sorted(random.Random(0).sample(range(1, total), 30))
    assert any(stop % 3 for stop in stops), "some must fall inside an accumulation"
    population, metrics = started(program), []
    for start, stop in zip([0, *stops], [*stops, total], strict=True):
        metrics += trained(population, stop - start)
        path = tmp_path / f"{stop}.safetensors"
        save(path, population.snapshot(0))
        population = Population(program, 1)
        population.restore(0, load(path), hyperparameters=SETTING, length=LENGTH)
    assert metrics == expected
    end, uninterrupted = population.snapshot(0), whole.snapshot(0)
    assert end.arrays.keys() == uninterrupted.arrays.keys()
    for name, leaf in uninterrupted.arrays.items():
        np.testing.assert_array_equal(np.array(end.arrays[name]), np.array(leaf), err_msg=name)
