"""Choosing a width: what is measured, why growth stops; moving runs to another width."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from tests.train_core.conftest import BASE, Small, assert_equal, assert_same, finish, program_of
from tests.train_core.lanes.trials import alone, load
from train_core import Dataset, Population, Program
from train_core.lanes import width
from train_core.lanes.width import Measurement, WidthChoice, best_width, cache_key, decode, encode


@pytest.fixture(scope="module")
def program() -> Program:
    return program_of(Small(), **BASE)


Speeds = Mapping[int, float]


def choose(
    monkeypatch: pytest.MonkeyPatch,
    program: Program,
    speeds: Speeds,
    *,
    limit_bytes: float = 1e12,
    most: int = 64,
    examples: float | None = None,
    said: Callable[..., Measurement] | None = None,
) -> WidthChoice:
    """Choose with speeds that are said, not measured; a lane takes 100 bytes beside 50."""

    def with_speeds(program: Program, hyperparameters: Mapping[str, object], lanes: int) -> Measurement:
        if lanes not in speeds:
            raise RuntimeError("[malloc] Unable to allocate 9 bytes.")
        return Measurement(lanes, speeds[lanes], 0.01, 0.1, 50 + 100 * lanes)

    monkeypatch.setattr(width, "_measure", said or with_speeds)
    return best_width(program, BASE, limit_bytes=limit_bytes, most=most, examples=examples)


def test_growth_passes_over_narrow_widths_that_lose(
    monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    choice = choose(monkeypatch, program, {1: 100, 2: 60, 4: 99, 8: 150, 16: 160, 32: 164, 64: 999})
    assert choice.width == 8
    assert [row.width for row in choice.table] == [1, 2, 4, 8, 16, 32]
    assert "no gain of 10%" in choice.stopped


def test_width_1_is_kept_where_lanes_gain_nothing(monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    choice = choose(monkeypatch, program, {1: 100, 2: 104, 4: 106, 8: 109, 16: 999})
    assert (choice.width, choice.table[-1].width) == (1, 8)


def test_no_width_is_tried_that_memory_would_not_last_for(
    monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    speeds = {2**n: 100.0 * 2**n for n in range(7)}
    choice = choose(monkeypatch, program, speeds, limit_bytes=1000)
    assert choice.width == 8  # 850 bytes; 16 would need 1650
    assert "width 16 would need" in choice.stopped


def test_what_mlx_keeps_of_freed_arrays_counts_beside_the_peak(
    monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    def said(program: Program, hyperparameters: Mapping[str, object], lanes: int) -> Measurement:
        return Measurement(lanes, 100.0 * lanes, 0.01, 0.1, 100 * lanes, held_memory_bytes=300 * lanes)

    choice = choose(monkeypatch, program, {}, limit_bytes=1300, said=said)
    assert choice.width == 4  # holds 1200 bytes at a peak of 400
    assert "width 8 would need" in choice.stopped


def test_what_limits_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    def said(program: Program, hyperparameters: Mapping[str, object], lanes: int) -> Measurement:
        return Measurement(lanes, 100.0, 0.01, 0.1, 100 * lanes, host_share=share)

    share = 0.96
    assert choose(monkeypatch, program, {}, said=said).limited_by.startswith(
        "the host, busy for 96% of a step"
    )
    share = 0.5
    assert choose(monkeypatch, program, {}, said=said).limited_by.startswith("the device's arithmetic")
    memory = choose(monkeypatch, program, {}, said=said, limit_bytes=250)
    assert (memory.width, memory.limited_by) == (1, memory.stopped)
    assert choose(monkeypatch, program, {}, said=said, most=2).limited_by == "widths up to 2 were asked for"


def test_out_of_memory_ends_growth_and_other_errors_do_not_pass(
    monkeypatch: pytest.MonkeyPatch, program: Program
) -> None:
    choice = choose(monkeypatch, program, {1: 100, 2: 200, 4: 400})
    assert (choice.width, choice.stopped) == (4, "out of memory at width 8")
    with pytest.raises(RuntimeError, match="allocate"):
        choose(monkeypatch, program, {})


def test_a_short_study_does_not_lose_by_measuring(monkeypatch: pytest.MonkeyPatch, program: Program) -> None:
    speeds = {2**n: 100.0 * 2**n for n in range(7)}
    for examples in (1e2, 1e3, 3e3, 1e4, 1e5):
        choice = choose(monkeypatch, program, speeds, examples=examples)
        alone_s = examples / speeds[1]
        allowed_s = 0.1 + width.SHARE * alone_s  # width 1 itself is always measured
        assert choice.cost_s - choice.table[0].compile_s <= allowed_s
    assert choice.width == 64


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_what_is_measured(program: Program) -> None:
    choice = best_width(program, BASE | {"accumulation_steps": 2}, limit_bytes=1e12, most=2)
    assert [row.width for row in choice.table] == [1, 2]
    assert all(row.examples_per_s > 0 and row.peak_memory_bytes > 0 for row in choice.table)
    assert all(row.held_memory_bytes > 0 for row in choice.table)
    assert decode(json.loads(json.dumps(encode(choice)))) == choice
    with pytest.raises(ValueError, match="as `encode` writes it"):
        decode({"width": 4})
    assert cache_key(program) == cache_key(program_of(Small(), **BASE))
    assert cache_key(program) != cache_key(program_of(Small(), **BASE | {"hidden": 9}))
    assert cache_key(program) != cache_key(program_of(Small(), **BASE, precision="bfloat16"))


class Fewer(Small):
    """The first of the examples."""

    def __init__(self, count: int) -> None:
        self.count = count

    def data(self) -> Dataset:
        whole = super().data()
        assert isinstance(whole.train, dict)
        return Dataset({name: each[: self.count] for name, each in whole.train.items()}, whole.validation)


def test_a_width_measured_on_other_data_does_not_count() -> None:
    found = [cache_key(program_of(Fewer(count), **BASE)) for count in (50, 50, 40)]
    assert found[0] == found[1] != found[2]


@pytest.mark.usefixtures("uncompiled")
def test_invariant_2_runs_moved_to_another_width_go_on_as_alone(program: Program) -> None:
    population = Population(program, 4)
    for lane, i in ((0, 3), (2, 5), (3, 6)):
        load(population, lane, i)
    population.advance(3)
    population.advance(2)
    with pytest.raises(ValueError, match="lanes must be free and < 2"):
        population.moved(2, {0: 0, 2: 1, 3: 2})
    population = population.moved(3, {0: 2, 2: 0, 3: 1})
    assert population.loaded == (0, 1, 2)
    population.advance(4)
    population = population.moved(1, {0: 0})
    assert population.loaded == (0,)
    reports, end = alone(program, 5)
    assert_same(finish(population, 0)[-1:], reports[-1:])
    assert_equal(population.snapshot(0), end)
