"""Lanes whose state is another's, or whose hyperparameters change: exact at any width, with no trace."""

from __future__ import annotations

import mlx.core as mx
import pytest

from tests.train_core.conftest import BASE, Small, assert_equal, assert_same, finish, program_of
from tests.train_core.lanes.trials import load, setting
from train_core import Length, Population, Program, keys
from train_core.errors import HyperparameterError
from train_core.lanes import rows
from train_core.lanes.lane import Begun, LaneRun

LENGTH = Length(150, 50)
SWITCHED = 56
"""Examples seen at the first boundary: the micro-batch of 8 that reaches 50."""


@pytest.fixture(scope="module")
def program() -> Program:
    """One program for all: its functions are compiled once a width."""
    return program_of(Small(), **BASE)


def key(i: int) -> mx.array:
    return keys.fold_in(keys.key(0), i)


def copied(program: Program, width: int, lanes: tuple[int, int]) -> Population:
    """Trial 5 continues from trial 3's state at the first boundary, with trial 6's hyperparameters."""
    population = Population(program, width)
    source, lane = lanes
    for place, i in zip(range(width), range(10, 20), strict=False):
        if place not in lanes:
            load(population, place, i, LENGTH)
    load(population, source, 3, LENGTH)
    load(population, lane, 5, LENGTH)
    population.advance()
    population.copy({lane: source})
    population.change(lane, setting(6))
    return population


def replayed(program: Program) -> Population:
    """The same by itself: trial 3 to the boundary, then under trial 5's key."""
    population = Population(program, 1)
    load(population, 0, 3, LENGTH)
    population.advance()
    population.rekey(0, key(5))
    population.change(0, setting(6))
    return population


def test_a_copied_lane_equals_its_lineage_alone_at_any_width(program: Program) -> None:
    alone = replayed(program)
    expected = finish(alone, 0)
    for width, lanes in ((2, (0, 1)), (5, (4, 1))):
        population = copied(program, width, lanes)
        found = finish(population, lanes[1])
        assert_same(found, expected)
        assert_equal(population.snapshot(lanes[1]), alone.snapshot(0))


def test_a_copy_changes_no_other_lane(program: Program) -> None:
    population, undisturbed = copied(program, 3, (0, 2)), Population(program, 1)
    finish(population, 2)
    for lane, i in ((0, 3), (1, 11)):
        load(undisturbed, 0, i, LENGTH)
        finish(undisturbed, 0)
        assert_equal(population.snapshot(lane), undisturbed.snapshot(0))
        undisturbed.unload(0)


def test_lanes_that_copy_each_other_take_what_was_there_before(program: Program) -> None:
    population = Population(program, 2)
    load(population, 0, 3, LENGTH)
    load(population, 1, 5, LENGTH)
    population.advance()
    before = [population.snapshot(lane) for lane in (0, 1)]
    population.copy({0: 1, 1: 0})
    for lane in (0, 1):
        taken, source = population.snapshot(lane), before[1 - lane]
        assert taken.key == before[lane].key
        assert taken.micro_batches == source.micro_batches == SWITCHED // 8
        for path, leaf in taken.arrays.items():
            if not path.startswith("keys."):
                assert mx.array_equal(leaf, source.arrays[path], equal_nan=True).item(), path


def test_a_copy_and_a_change_resume_from_a_snapshot_amid_their_stretch(program: Program) -> None:
    whole = replayed(program)
    whole.advance(4)
    snapshot = whole.snapshot(0)
    expected = finish(whole, 0)
    resumed = Population(program, 1)
    begun = Begun.after([(SWITCHED // 8, 1 + 3 % 4)])
    resumed.restore(0, snapshot, hyperparameters=setting(6), length=LENGTH, begun=begun)
    assert [(r.updates, r.metrics) for r in finish(resumed, 0)] == [(r.updates, r.metrics) for r in expected]
    assert_equal(resumed.snapshot(0), whole.snapshot(0))


def test_what_was_accumulated_before_a_change_is_part_of_the_next_update(program: Program) -> None:
    ends = []
    for width in (1, 2):
        population = Population(program, width)
        for lane in range(width):
            hyperparameters = {**BASE, "accumulation_steps": 4}
            population.load(lane, key=key(lane), hyperparameters=hyperparameters, length=LENGTH)
        population.advance()
        held = population.snapshot(0)
        assert held.micro_batches % 4
        assert held.arrays["weight"].item() != 0
        for lane in range(width):
            population.change(lane, {**BASE, "accumulation_steps": 1})
        population.advance(1)
        assert population.snapshot(0).arrays["weight"].item() == 0
        reports = finish(population, 0)
        assert reports[0].updates == 1 + 13 - 7  # 4 of 7 micro-batches, then each
        ends.append(population.snapshot(0))
    assert_equal(ends[1], ends[0])


def test_updates_are_counted_over_changes() -> None:
    run = LaneRun(None, Length(800, 100), 8, accumulation_steps=4, done=10)  # type: ignore[arg-type]
    assert (run.updates, run.holds) == (2, True)
    changed = run.changed(5)
    assert (changed.updates, changed.holds, changed.total_updates) == (2, True, 2 + 18)
    changed.done = 15
    assert (changed.updates, changed.holds) == (3, False)
    assert changed.begun == Begun.after([(10, 4)])
    assert changed.changed(1).begun == Begun.after([(10, 4), (15, 5)])


def test_copies_and_changes_trace_nothing(program: Program) -> None:
    population = Population(program, 3)
    for lane in range(3):
        hyperparameters = {**BASE, "learning_rate": 0.01 * (lane + 1)}
        population.load(lane, key=key(lane), hyperparameters=hyperparameters, length=Length(400, 50))
    population.advance()
    for sources in ({0: 1}, {1: 2, 2: 0}):
        population.copy(sources)
        for lane in sources:
            population.change(lane, {**BASE, "learning_rate": 0.05})
        assert population.advance().traces == 0


def test_a_change_of_a_static_hyperparameter_is_refused(program: Program) -> None:
    population = Population(program, 1)
    load(population, 0, 3, LENGTH)
    with pytest.raises(HyperparameterError, match="need another program"):
        population.change(0, {**setting(3), "hidden": 16})


def test_draws_go_on_from_the_own_key_and_the_position() -> None:
    found = rows.streams(mx.stack([key(1), key(2)]), mx.array([7, 9], mx.uint32))
    for row, (i, position) in enumerate(((1, 7), (2, 9))):
        stream = keys.fold_in(key(i), keys.DROPOUT)
        assert found["dropout"][row].tolist() == keys.fold_in(stream, position).tolist()
