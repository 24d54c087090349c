"""Lanes of adapters compile: what the other tests here run, they run uncompiled."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from tests.lm.tasks import SETTING, task_of
from train_core import Length, Population, Program, keys, split_for


@pytest.mark.slow
def test_a_step_of_two_lanes_compiles(example: Path) -> None:
    """MLX fails on a number of the lane beside activations, which an adapter's own `scale` would be."""
    task, setting = task_of(example), {**SETTING, "num_layers": 2, "max_num_layers": 2}
    population = Population(Program(task, split_for(task, setting)[0]), 2)
    for lane in range(2):
        length = Length(examples=4, report_every=4)
        population.load(lane, key=keys.key(lane), hyperparameters=setting, length=length)
    assert population.advance(1).micro_batches == 1
