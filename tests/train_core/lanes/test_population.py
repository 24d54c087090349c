"""Lanes: exactness, refills, reports at boundaries, and one trace a function and width."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.train_core.conftest import BASE, LENGTH, Small, assert_equal, assert_same, finish, program_of
from tests.train_core.lanes.trials import alone, load, setting
from train_core import Checkpoint, LaneReport, Length, Population, Program, TrialError, device, keys
from train_core.errors import CheckpointError, HyperparameterError


@pytest.fixture(scope="module")
def program() -> Program:
    """One program for all: its functions are compiled once a width."""
    return program_of(Small(), **BASE)


def test_invariant_2_a_lane_equals_its_run_alone_compiled_in_any_slot_and_after_refills(
    program: Program,
) -> None:
    population = Population(program, 3)
    for lane, i in enumerate((4, 1, 6)):
        load(population, lane, i)
    reports: dict[int, list[LaneReport]] = {0: [], 1: [], 2: []}
    for _ in range(3):
        for report in population.advance().reports:
            reports[report.lane].append(report)
    for lane, i in enumerate((4, 1, 6)):
        expected, end = alone(program, i)
        assert_same(reports[lane], expected)
        assert_equal(population.snapshot(lane), end)
    population.unload(1)
    load(population, 1, 7, Length(70, 30))  # beside two finished neighbours
    again = finish(population, 1)
    expected, end = alone(program, 7, Length(70, 30))
    assert_same(again, expected)
    assert_equal(population.snapshot(1), end)


def any_setting(random: np.random.Generator) -> dict[str, object]:
    """Return every dynamic hyperparameter drawn at random."""
    return BASE | {
        "learning_rate": 10 ** random.uniform(-4, -1),
        "accumulation_steps": int(random.integers(1, 6)),
        "dropout": random.uniform(0, 0.9),
        "weight_decay": random.choice([0.0, 10 ** random.uniform(-6, -1)]),
        "betas": (random.uniform(0, 0.99), random.uniform(0.5, 0.999)),
        "momentum": random.uniform(0, 0.99),
        "schedule": str(random.choice(["constant", "linear", "cosine"])),
        "warmup_fraction": random.uniform(0, 1),
        "gradient_clip": random.uniform(0.1, 5),
        "label_smoothing": random.choice([0.0, random.uniform(0, 0.5)]),
    }


@pytest.mark.slow
def test_invariant_4_fifty_random_settings_take_one_trace_a_function_and_width() -> None:
    program, random = program_of(Small(), **BASE), np.random.default_rng(0)
    for width, lane in ((1, 0), (3, 2)):
        before, population = program.traces, Population(program, width)
        for i in range(50):
            chosen = any_setting(random)
            length = Length(int(random.integers(41, 80)), 40)
            population.load(lane, key=keys.key(i), hyperparameters=chosen, length=length)
            population.advance(None if i < 3 else 4)
            population.unload(lane)
        assert program.traces - before == 4  # accumulate, update at once, mixed, evaluate


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_invariant_2_a_lane_equals_its_run_alone_in_every_precision(precision: str) -> None:
    program = program_of(Small(), **BASE, precision=precision)
    populations = {"lanes": Population(program, 2), "alone": Population(program, 1)}
    for name, lane in (("lanes", 0), ("lanes", 1), ("alone", 0)):
        key = keys.fold_in(keys.key(1), lane if name == "lanes" else 1)
        hp = BASE | {"precision": precision, "accumulation_steps": 3 if lane == 0 and name == "lanes" else 2}
        populations[name].load(lane, key=key, hyperparameters=hp, length=LENGTH)
    ends = {name: (finish(p, p.width - 1), p.snapshot(p.width - 1)) for name, p in populations.items()}
    assert_same(ends["lanes"][0], ends["alone"][0])
    assert_equal(ends["lanes"][1], ends["alone"][1])


@pytest.mark.usefixtures("uncompiled")
def test_a_gpu_is_handed_small_steps_together_and_large_ones_singly(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, hand_over = [], mx.async_eval
    handed: list[object] = []

    def counted(*arrays: object) -> None:
        handed.append(arrays)
        hand_over(*arrays)

    monkeypatch.setattr(mx, "async_eval", counted)
    for kind, ahead, times in (("cpu", 1.0, 13), ("gpu", 1.0, 2), ("gpu", -1.0, 13)):
        monkeypatch.setattr(device, "kind", lambda kind=kind: kind)
        monkeypatch.setattr("train_core.lanes.population.AHEAD", ahead)
        lanes = Population(program, 1)
        lanes.load(0, key=keys.key(0), hyperparameters=BASE, length=Length(130, 130))
        handed.clear()
        lanes.advance(13)  # of 17
        assert len(handed) == times + 1  # and the chunk's indices
        ends.append(lanes.snapshot(0))
    assert_equal(ends[1], ends[0])
    assert_equal(ends[2], ends[0])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("stop", range(1, 17))
def test_invariant_3_resumed_at_any_micro_batch_equals_uninterrupted(program: Program, stop: int) -> None:
    i = 2  # three micro-batches an update
    expected, end = alone(program, i)
    population = Population(program, 1)
    load(population, 0, i)
    done = 0
    reports: list[LaneReport] = []
    while done < stop:
        advance = population.advance(stop - done)
        done += advance.micro_batches
        reports += advance.reports
    snapshot = population.snapshot(0)
    resumed = Population(program, 2)
    load(resumed, 0, 5)
    resumed.restore(1, snapshot, hyperparameters=setting(i), length=LENGTH)
    rest = finish(resumed, 1)
    reports = [r for r in reports if not r.finished]  # a finished run gives its last report again
    assert_same(reports + rest, expected)
    assert_equal(resumed.snapshot(1), end)


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_reports_come_at_nominal_boundaries_whatever_k(program: Program) -> None:
    for i in range(4):
        reports, end = alone(program, i)
        assert [r.examples for r in reports] == [50, 100, 130]
        assert [r.updates for r in reports] == [7 // (i + 1), 13 // (i + 1), -(-17 // (i + 1))]
        assert [r.epoch for r in reports] == [1.0, 2.0, 2.6]
        assert (end.micro_batches, end.examples) == (17, 130)
        assert set(reports[0].metrics) == {"train_loss", "validation_accuracy", "validation_loss"}


@pytest.mark.usefixtures("uncompiled")
def test_boundaries_closer_than_a_micro_batch_are_all_reported(program: Program) -> None:
    reports, _ = alone(program, 0, Length(20, 3))
    assert [r.examples for r in reports] == [3, 6, 9, 12, 15, 18, 20]


@pytest.mark.usefixtures("uncompiled")
def test_a_diverging_lane_is_named_and_touches_no_other(program: Program) -> None:
    population = Population(program, 2)
    load(population, 0, 1)
    wild = setting(0) | {"learning_rate": 1e30, "accumulation_steps": 1}
    population.load(1, key=keys.key(3), hyperparameters=wild, length=LENGTH)
    first, second = population.advance().reports
    assert first.error is None
    assert_same([first], alone(program, 1)[0][:1])
    assert second.error is not None
    assert "not finite in update" in second.error
    assert "last finite loss" in second.error


@pytest.mark.usefixtures("uncompiled")
def test_the_final_batch_is_masked_to_the_length() -> None:
    program = program_of(Small(), **BASE)
    train: Any = Small().data().train
    weights = train["w"]
    population = Population(program, 1)
    load(population, 0, 0, Length(11, 11))
    population.advance()
    order = keys.permutations([keys.fold_in(keys.fold_in(keys.key(0), 0), keys.DATA)], [0], 50)[0]
    seen = float(population.snapshot(0).arrays["loss.weight"])
    assert seen == pytest.approx(float(weights[order[:11]].sum()), rel=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_misuse_is_named(program: Program) -> None:
    population = Population(program, 2)
    load(population, 0, 0)
    with pytest.raises(ValueError, match="lane must be free and < "):
        load(population, 0, 1)
    with pytest.raises(HyperparameterError, match="another program"):
        population.load(1, key=keys.key(0), hyperparameters=BASE | {"hidden": 9}, length=LENGTH)
    population.advance(1)
    lacking = {name: value for name, value in BASE.items() if name != "label_smoothing"}
    with pytest.raises(TrialError, match=r"hp\.label_smoothing"):
        population.load(1, key=keys.key(0), hyperparameters=lacking, length=LENGTH)
    other = program_of(Small(), **(BASE | {"hidden": 9}))
    stranger = Population(other, 1)
    stranger.load(0, key=keys.key(0), hyperparameters=BASE | {"hidden": 9}, length=LENGTH)
    snapshot = stranger.snapshot(0)
    with pytest.raises(CheckpointError, match="hidden = 9, wanted 8"):
        population.restore(1, snapshot, hyperparameters=BASE, length=LENGTH)
    disguised = Checkpoint(snapshot.arrays, 0, 0, (0, 0), program.description)
    with pytest.raises(
        CheckpointError, match=r"parameters\.first\.weight has shape \(9, 6\).*wanted \(8, 6\)"
    ):
        population.restore(1, disguised, hyperparameters=BASE, length=LENGTH)
