"""Lanes of adapters as a study runs them, compiled: bit for bit their runs alone at widths 1, 2 and 8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

from tests.lm.tasks import SETTING, task_of
from tests.train_core.conftest import assert_equal
from train_core import Checkpoint, Length, Population, Program, keys, split_for

LENGTH = Length(examples=4, report_every=4)


def setting(lane: int) -> dict[str, Any]:
    """One that differs from the others in all that is dynamic."""
    return {
        **SETTING,
        "max_num_layers": 2,
        "rank": 1 + (3 * lane) % 8,
        "scale": 1.0 + lane,
        "dropout": 0.1 * (1 + lane % 3),
        "num_layers": 1 + lane % 2,
        "lora_plus_ratio": 1.0 + lane,
        "learning_rate": 1e-3 * (lane + 1),
    }


def ends(program: Program, lanes: range) -> list[Checkpoint]:
    """Where these runs end, side by side in one compiled step."""
    population = Population(program, len(lanes))
    for place, lane in enumerate(lanes):
        given = setting(lane)
        population.load(place, key=keys.key(lane), hyperparameters=given, length=LENGTH)
    reports = population.advance().reports
    assert len(reports) == len(lanes)
    assert len({report.metrics["train_loss"] for report in reports}) == len(lanes)
    return [population.snapshot(place) for place in range(len(lanes))]


@pytest.mark.slow
def test_invariant_2_compiled_lanes_equal_their_runs_alone(example: Path) -> None:
    """MLX fails on a number of the lane beside activations, which an adapter's own `scale` would be."""
    task = task_of(example)
    program = Program(task, split_for(task, setting(0))[0])
    alone = [ends(program, range(lane, lane + 1))[0] for lane in range(3)]
    for width in (2, 8):
        traces = program.traces
        together = ends(program, range(width))
        assert program.traces >= traces + 2  # compiled: to train, at each width of a batch, and to evaluate
        for one, other in zip(together, alone, strict=False):
            assert_equal(one, other)
