"""Layers and schedules with traced numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.optimizers import schedulers

from tests.train_core.conftest import kernels
from train_core import Dropout, cross_entropy, keys, split
from train_core.step import schedule


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_equals_mlxs_with_the_smoothing_traced(smoothing: float) -> None:
    logits, targets = mx.random.normal((5, 4), key=keys.key(0)), mx.array([0, 3, 1, 2, 2])
    expected = nn.losses.cross_entropy(logits, targets, label_smoothing=smoothing)
    traced = mx.vmap(lambda s: cross_entropy(logits, targets, s))(mx.array([smoothing]))[0]
    np.testing.assert_allclose(np.array(traced), np.array(expected), rtol=1e-5)


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    layer, x = Dropout(), mx.ones((200, 200))
    with keys.generator(keys.key(1)):
        dropped = layer(x, mx.array(0.25))
    assert sorted(set(np.array(dropped).reshape(-1).tolist())) == pytest.approx([0.0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.02)
    layer.eval()
    assert layer(x, mx.array(0.25)) is x


def rates(code: int, warmup: float, total: int, **others: float) -> list[float]:
    numbers = {
        "learning_rate": 2.0,
        "schedule": code,
        "schedule_decay": 1.0,
        "schedule_end": 0.0,
        "schedule_updates": 0,
        "warmup_fraction": warmup,
        "warmup_start": 0.0,
        "warmup_updates": 0,
        **others,
    }
    held = {**numbers, **schedule.fixed(numbers, total)}
    hp = {name: mx.array(value, mx.float32) for name, value in held.items()}
    return [float(schedule.learning_rate(hp, mx.array(u))) for u in range(total)]


def test_a_rate_is_two_kernels(tmp_path: Path) -> None:
    """The cast of the count, and all the rest; what a run's length fixes is computed before."""
    _, numbers = split({"learning_rate": 1.0}, ())
    hp = {name: mx.array(value) for name, value in {**numbers, **schedule.fixed(numbers, 9)}.items()}
    rate = mx.compile(schedule.learning_rate)(hp, mx.array(3, mx.uint64))
    assert len(kernels(rate, tmp_path)) == 2


def test_schedules_warm_up_and_fall() -> None:
    assert rates(0, 0.0, 4) == [2.0, 2.0, 2.0, 2.0]
    assert rates(0, 0.5, 4) == [1.0, 2.0, 2.0, 2.0]
    assert rates(1, 0.0, 4) == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates(1, 0.0, 4, schedule_end=0.5) == pytest.approx([2.0, 1.75, 1.5, 1.25])
    assert rates(2, 0.0, 4) == pytest.approx([2.0 * 0.5 * (1 + np.cos(np.pi * u / 4)) for u in range(4)])


@pytest.mark.parametrize(
    ("code", "others", "theirs"),
    [
        (1, {"schedule_end": 0.25, "schedule_updates": 5}, schedulers.linear_schedule(2.0, 0.5, 5)),
        (2, {"schedule_end": 0.25, "schedule_updates": 5}, schedulers.cosine_decay(2.0, 5, 0.5)),
        (3, {"schedule_decay": 0.75}, schedulers.exponential_decay(2.0, 0.75)),
        (4, {"schedule_decay": 0.5, "schedule_updates": 3}, schedulers.step_decay(2.0, 0.5, 3)),
    ],
)
@pytest.mark.parametrize("warmup", [0, 3])
def test_schedules_by_updates_are_mlx_s(
    code: int, others: dict[str, float], theirs: Callable[[mx.array], mx.array], warmup: int
) -> None:
    """As mlx-lm joins them: the warm-up begins at its start, and the schedule one update after its end."""
    joined = theirs
    if warmup:
        rising = schedulers.linear_schedule(0.5, 2.0, warmup)
        joined = schedulers.join_schedules([rising, theirs], [warmup + 1])
    found = rates(code, 0.0, 12, warmup_updates=warmup, warmup_start=0.25, **others)
    assert found == pytest.approx([float(joined(mx.array(u))) for u in range(12)], rel=1e-6)
