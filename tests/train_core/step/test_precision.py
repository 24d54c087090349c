"""The loss scale of float16: it grows, backs off, and what it skipped is counted and reported."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.conftest import BASE, Small, program_of
from train_core import Length, Mean, Population, keys
from train_core.step import precision

SETTING = BASE | {"precision": "float16", "dropout": 0.0}


def scales(finite: list[bool], first: float = precision.FIRST_SCALE) -> list[tuple[float, int, int]]:
    state = precision.first_scale(1) | {"scale": mx.array(first)}
    seen = []
    for one in finite:
        state = precision.next_scale(state, mx.array(one))
        seen.append((float(state["scale"]), int(state["finite"]), int(state["skipped"])))
    return seen


def test_the_scale_doubles_after_a_run_of_finite_updates_and_halves_after_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", 3)
    assert scales([True, True, True, True, False, True], 8.0) == [
        (8.0, 1, 0),
        (8.0, 2, 0),
        (16.0, 0, 0),
        (16.0, 1, 0),
        (8.0, 0, 1),
        (8.0, 1, 1),
    ]


def test_the_scale_stays_between_one_and_its_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", 1)
    assert scales([True], precision.LARGEST_SCALE)[0][0] == precision.LARGEST_SCALE
    assert scales([False, False], 1.5)[-1][0] == 1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_all_finite_sees_a_single_number(bad: float) -> None:
    lanes = mx.array([[0.0] * 14, [0.0] * 13 + [bad]])
    assert precision.all_finite(lanes).tolist() == [True, False]
    assert [bool(precision.all_finite(lane)) for lane in lanes] == [True, False]


class Steep(Small):
    """Gradients too large for float16 under the first loss scale."""

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        found = super().loss(model, batch, hp)
        return Mean(found.values * 16.0, found.weights)


@pytest.mark.usefixtures("uncompiled")
def test_updates_that_overflow_are_skipped_counted_and_reported_by_lane() -> None:
    program = program_of(Steep(), **SETTING)
    population = Population(program, 2)
    for lane, k in enumerate((1, 2)):
        hp = SETTING | {"accumulation_steps": k}
        population.load(lane, key=keys.key(lane), hyperparameters=hp, length=Length(64, 64))
    start = population.snapshot(0).arrays
    population.advance(1)
    after = population.snapshot(0).arrays
    assert int(after["loss_scale.skipped"]) == 1
    assert float(after["loss_scale.scale"]) == precision.FIRST_SCALE / 8 / 2
    assert int(after["optimizer.step"]) == 0
    for path, leaf in start.items():
        if path.startswith(("parameters", "optimizer")):
            np.testing.assert_array_equal(np.array(after[path]), np.array(leaf), err_msg=path)
    assert float(after["weight"]) == 0
    for report in population.advance().reports:
        arrays = population.snapshot(report.lane).arrays
        skipped = int(arrays["loss_scale.skipped"])
        assert report.metrics["skipped_updates"] == skipped
        assert 0 < skipped < 8
        assert int(arrays["optimizer.step"]) == report.updates - skipped
        assert report.error is None


@pytest.mark.usefixtures("uncompiled")
def test_other_precisions_report_no_skipped_updates() -> None:
    population = Population(program_of(Small(), **BASE), 1)
    population.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(16, 16))
    (report,) = population.advance().reports
    assert "skipped_updates" not in report.metrics


def test_a_model_below_float32_computes_in_its_precision_by_any_entrance() -> None:
    seen: list[mx.Dtype] = []

    class Model:
        scale = mx.array([1.0])

        def __call__(self, x: mx.array, rate: mx.array) -> mx.array:
            seen.extend([x.dtype, rate.dtype])
            return x

        def encode(self, x: mx.array) -> dict[str, mx.array]:
            seen.append(x.dtype)
            return {"code": x}

    model = precision.at_boundary(Model(), mx.bfloat16)
    assert model(mx.ones(2), mx.array(0.1)).dtype == mx.float32
    assert model.encode(mx.ones(2))["code"].dtype == mx.float32
    assert seen == [mx.bfloat16, mx.float32, mx.bfloat16]
    assert model.scale is Model.scale
