"""Layers and schedules with traced numbers."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from train_core import Dropout, cross_entropy, keys
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


def rates(code: int, warmup: float, total: int) -> list[float]:
    hp = {
        "learning_rate": mx.array(2.0),
        "schedule": mx.array(float(code)),
        "warmup_fraction": mx.array(warmup),
        "total_updates": mx.array(float(total)),
    }
    return [float(schedule.learning_rate(hp, mx.array(u))) for u in range(total)]


def test_schedules_warm_up_and_fall() -> None:
    assert rates(0, 0.0, 4) == [2.0, 2.0, 2.0, 2.0]
    assert rates(0, 0.5, 4) == [1.0, 2.0, 2.0, 2.0]
    assert rates(1, 0.0, 4) == pytest.approx([2.0, 1.5, 1.0, 0.5])
    assert rates(2, 0.0, 4) == pytest.approx([2.0 * 0.5 * (1 + np.cos(np.pi * u / 4)) for u in range(4)])
