"""The scheduler alone: events in, instructions out, in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.scheduler import Aim, Limits, Patience, Phase, State, transition
from sweep.scheduler.messages import (
    Asked,
    Finish,
    Interrupted,
    Limited,
    NoMoreAsks,
    Note,
    Prune,
    Replace,
    RunTurn,
    Taken,
    Tell,
    Tick,
)
from sweep.vocabulary.trial import Length, Report, RunId, TrialState
from sweep.vocabulary.turn import Loss, SlotJoined, Turn, TurnDone, TurnResult
from tests.sweep.world import Worker, World

OBJECTIVES = (Aim("value"),)


def limits(trials: int, **more: Any) -> Limits:
    return Limits(trials=trials, objectives=OBJECTIVES, **more)


def turns_in(instructions: list[Any]) -> list[Turn]:
    return [instruction.turn for instruction in instructions if isinstance(instruction, RunTurn)]


def ended(world: World) -> bool:
    return world.state.ended


@st.composite
def worlds(draw: st.DrawFn) -> World:
    trials = draw(st.integers(1, 12))
    numbers = st.frozensets(st.integers(0, 11), max_size=4)
    prunes = draw(numbers)
    in_order = draw(st.booleans())
    bounds = limits(
        trials,
        width=draw(st.none() | st.integers(1, 4)),
        slots=draw(st.integers(1, 3)),
        programs=draw(st.integers(1, 3)),
        ahead=draw(st.booleans()),
        replicates=draw(st.integers(1, 3)),
        prunes=bool(prunes),
        rungs=draw(st.none() | st.lists(st.integers(1, 6), max_size=3).map(tuple)),
        max_concurrent=draw(st.none() | st.integers(1, 5)),
        max_losses=2,
        retries=draw(st.integers(0, 2)),
        in_order=in_order,
        lag=draw(st.none() | st.integers(1, 6)) if in_order else None,
        compares_running=draw(st.booleans()),
    )
    return World.of(
        bounds,
        programs=draw(st.integers(1, 3)),
        length=Length(draw(st.integers(1, 5)), draw(st.integers(1, 2))),
        prunes=prunes,
        failing=frozenset(RunId(number, 0) for number in draw(numbers)),
        round_trip_s=draw(st.sampled_from([0.0, 1.0])),
    )


def lanes_in_use(world: World) -> None:
    for slot in world.state.slots.values():
        assert len(slot.lanes) <= 4
        runs = [lane.run for lane in slot.lanes if lane is not None]
        assert len(runs) == len(set(runs)), "a run must be in one lane at a time"


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(world=worlds(), choices=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 99)), max_size=60))
def test_invariant_1_every_asked_trial_is_told_once_whatever_happens(
    world: World, choices: list[tuple[int, int]]
) -> None:
    world.join()
    for kind, pick in choices:
        busy = sorted(slot for slot, worker in world.workers.items() if worker.turns)
        if kind <= 1 and busy:
            world.work(busy[pick % len(busy)])
        elif kind == 2 and world.arriving:
            world.arrive()
        elif kind == 3 and world.joined < 6:
            world.join()
        elif kind == 4 and world.workers:
            slot = sorted(world.workers)[pick % len(world.workers)]
            world.lose(slot, Loss.NODE if pick % 2 else Loss.PROCESS)
        elif kind == 5 and (reported := [n for n, each in world.state.trials.items() if each.passed]):
            world.enter(Finish(reported[pick % len(reported)]))
        elif kind == 6 and pick < 40:
            world.enter(Prune(pick % 12))
        elif kind == 7:
            found = world.state.limits
            world.enter(Limited(replace(found, width=found.width and 1 + pick % 4, retries=pick % 3)))
        lanes_in_use(world)
    if not world.workers:
        world.join()
    world.work_all()
    assert world.state.ended
    assert sorted(world.told) == world.asked == list(range(world.state.limits.trials))
    assert not world.state.trials
    assert max(world.reports.values(), default=1) == 1, "a boundary must be recorded once"
    for number, tell in world.told.items():
        if tell.outcome.state is TrialState.COMPLETE and tell.outcome.reason is None:
            assert number not in {run.trial for run in world.failing}
            boundaries = {key[2] for key in world.reports if key[0] == number}
            assert max(boundaries) == world.length.examples


def test_a_pruned_lane_is_dropped_where_the_next_program_differs_by_its_limit_only() -> None:
    bounds = limits(3, width=None, prunes=True, max_concurrent=2)
    world = World.of(bounds, length=Length(2, 1), prunes=frozenset({0}))
    world.join()
    world.work("slot-1")
    world.lose("slot-1")  # the two trials in it may share a population of two at most, the third is free
    world.join()
    world.work_all()
    assert sorted(world.told) == [0, 1, 2]
    assert world.told[0].outcome.state is TrialState.PRUNED


def test_a_second_turn_is_out_while_the_first_one_runs() -> None:
    world = World.of(limits(4))
    world.join()
    (worker,) = world.workers.values()
    assert len(worker.turns) == 2
    assert [load.run.trial for load in worker.turns[0].loads] == [0]
    assert not worker.turns[1].loads


def test_a_lane_is_refilled_in_the_turn_after_its_last_without_waiting() -> None:
    world = World.of(limits(4), length=Length(examples=1, report_every=1))
    world.join()
    (worker,) = world.workers.values()
    assert [[load.run.trial for load in turn.loads] for turn in worker.turns] == [[0], [1]]


def test_with_a_pruner_a_slow_advance_waits_for_its_verdict() -> None:
    world = World.of(limits(4, prunes=True), prunes=frozenset({0}))
    world.join()
    (slot,) = world.workers
    assert len(world.workers[slot].turns) == 1
    world.work(slot)
    assert world.told[0].outcome.state is TrialState.PRUNED
    (turn,) = world.workers[slot].turns
    assert (turn.drops, [load.run.trial for load in turn.loads]) == ((0,), [1])


def test_with_a_pruner_a_quick_advance_does_not_wait_and_its_late_report_is_not_recorded() -> None:
    world = World.of(limits(4, prunes=True), prunes=frozenset({0}), round_trip_s=1.0)
    world.join()
    (slot,) = world.workers
    world.work(slot)  # told to wait at first; from now on an advance is known to be quick
    world.work_all()
    assert world.told[0].outcome.state is TrialState.PRUNED
    assert sorted(world.told) == [0, 1, 2, 3]
    assert (0, 0, 2) not in world.reports


def test_a_slow_advance_waits_for_a_verdict_only_where_there_may_be_one() -> None:
    world = World.of(limits(1, prunes=True, rungs=(1, 4)), length=Length(7, 1))
    world.join()
    (worker,) = world.workers.values()
    out = [len(worker.turns)]
    while worker.turns:
        world.work("slot-1")
        out.append(len(worker.turns))
    assert out == [1, 2, 2, 1, 2, 2, 1, 0], "one turn at a time before the first and the fourth report"


def test_a_rung_between_two_reports_is_judged_at_the_second_and_none_at_the_end() -> None:
    bounds, length = limits(1, prunes=True, rungs=(3, 9)), Length(10, 2)
    assert [b for b in (2, 4, 6, 8, 10) if bounds.may_prune(length, b)] == [4]
    assert not any(limits(1, rungs=(3, 9)).may_prune(length, b) for b in (2, 4, 6, 8, 10))


def test_a_pruned_lane_of_many_is_refilled_within_two_advances() -> None:
    world = World.of(limits(8, prunes=True, width=4), prunes=frozenset({2}), length=Length(9, 1))
    world.join()
    (slot,) = world.workers
    world.work(slot)
    (turn,) = world.workers[slot].turns
    assert turn.drops == (2,)
    assert [(load.lane, load.run.trial) for load in turn.loads] == [(2, 4)]


def test_a_failed_run_touches_no_neighbour() -> None:
    world = World.of(limits(4, width=4), failing=frozenset({RunId(1, 0)}))
    world.join()
    world.work_all()
    states = {number: tell.outcome.state for number, tell in world.told.items()}
    assert states == {
        0: TrialState.COMPLETE,
        1: TrialState.FAIL,
        2: TrialState.COMPLETE,
        3: TrialState.COMPLETE,
    }


def work_off(world: World) -> None:
    """The turns that are out come back; what is paused stays so."""
    while world.workers["slot-1"].turns:
        world.work("slot-1")


def test_a_run_that_fails_is_tried_again_after_a_pause_that_grows_from_where_it_was() -> None:
    world = World.of(limits(1, retries=2))
    world.join()
    world.work("slot-1")
    world.arrive()
    world.failing = frozenset({RunId(0, 0)})
    work_off(world)
    assert "trial 0 is tried again in 0.5 s (1 of 2): it broke" in world.notes
    world.enter(Tick())
    work_off(world)
    assert "trial 0 is tried again in 4 s (2 of 2): it broke" in world.notes
    assert not world.told
    for _ in range(2):
        world.enter(Tick())
        assert not world.workers["slot-1"].turns, "its pause is not over"
    world.failing = frozenset()
    world.work_all()
    assert world.told[0].outcome.state is TrialState.COMPLETE
    assert set(world.reports) == {(0, 0, 1), (0, 0, 2), (0, 0, 3)}


def test_a_run_that_gets_further_is_tried_again_as_often_as_at_first() -> None:
    world = World.of(limits(1, retries=1))
    world.join()
    for _ in range(2):
        world.failing = frozenset({RunId(0, 0)})
        work_off(world)
        world.failing = frozenset()
        world.enter(Tick())
        world.work("slot-1")
        world.arrive()
    world.work_all()
    assert world.told[0].outcome.state is TrialState.COMPLETE
    assert sum("(1 of 1)" in note for note in world.notes) == 2


def test_a_failure_that_stays_ends_the_trial_after_its_retries() -> None:
    world = World.of(limits(2, retries=2), failing=frozenset({RunId(0, 0)}))
    world.join()
    world.work_all()
    assert [world.told[number].outcome.state for number in (0, 1)] == [TrialState.FAIL, TrialState.COMPLETE]
    assert world.told[0].outcome.reason == "it broke"


def test_after_so_many_failures_in_a_row_the_study_stops_and_burns_no_more() -> None:
    failing = frozenset(RunId(number, 0) for number in range(2, 40))
    world = World.of(limits(40, width=4, slots=2, retries=1, stop_after=3), failing=failing)
    world.join()
    world.join()
    world.work_all()
    assert world.state.phase is Phase.STOPPING
    assert world.state.ended
    assert "3 trials in a row failed (failures.stop_after). The last: it broke" in (world.state.gave_up or "")
    states = [tell.outcome.state for tell in world.told.values()]
    assert states.count(TrialState.FAIL) == 3
    assert len(world.state.trials) == len(world.asked) - len(world.told)


def test_failures_between_trials_that_end_well_do_not_stop_the_study() -> None:
    failing = frozenset(RunId(number, 0) for number in range(0, 12, 2))
    world = World.of(limits(12, stop_after=2), failing=failing)
    world.join()
    world.work_all()
    assert len(world.told) == 12
    assert world.state.gave_up is None


def test_replicates_are_told_once_with_the_mean_of_the_last_reports() -> None:
    world = World.of(limits(1, replicates=3))
    world.join()
    world.work_all()
    (value,) = world.told[0].outcome.values or ()
    assert value == pytest.approx((0.003 + 0.103 + 0.203) / 3)


def fail_turns_wider_than_one(world: World, slot: str) -> None:
    """Every turn of several lanes fails as a whole; alone, only trial 2 does."""
    while worker := world.workers[slot]:
        if not worker.turns:
            return
        turn = worker.turns.pop(0)
        alone = Worker(worker.width, worker.signature, lanes=worker.lanes)
        result = alone.carry_out(turn, world.checkpoints, frozenset())
        held = {report.trial for report in result.reports}
        if turn.width > 1 or held == {2}:
            worker.lanes.clear()
            result = TurnResult(turn.number, error="RuntimeError: the batch is poisoned")
        worker.width, worker.signature = turn.width, turn.signature
        world.enter(TurnDone(slot, result))


def test_a_turn_that_fails_as_a_whole_blames_nobody_until_its_trials_ran_alone() -> None:
    world = World.of(limits(4, width=4))
    world.join()
    (slot,) = world.workers
    fail_turns_wider_than_one(world, slot)
    states = {number: tell.outcome.state for number, tell in world.told.items()}
    assert states == {number: TrialState.FAIL if number == 2 else TrialState.COMPLETE for number in range(4)}
    assert "the batch is poisoned" in (world.told[2].outcome.reason or "")
    assert any("4 lanes failed" in note for note in world.notes)


def test_a_lost_node_costs_no_attempt_and_a_process_lost_again_and_again_fails_its_trial() -> None:
    world = World.of(limits(1, max_losses=2))
    for _ in range(10):
        world.join()
        world.lose(next(iter(world.workers)), Loss.NODE)
    assert not world.told
    for _ in range(3):
        world.join()
        world.lose(next(iter(world.workers)), Loss.PROCESS)
    assert world.told[0].outcome.state is TrialState.FAIL
    assert "lost 3 times in a row" in (world.told[0].outcome.reason or "")


def test_a_run_that_gets_further_each_time_outlives_any_number_of_lost_workers() -> None:
    world = World.of(limits(1, max_losses=2), length=Length(8, 1))
    while not world.told:
        world.join()
        slot = next(iter(world.workers))
        world.work(slot)
        world.arrive()
        if not world.told:
            world.lose(slot, Loss.PROCESS)
    assert world.joined == 8
    assert world.told[0].outcome.state is TrialState.COMPLETE


def test_a_run_resumes_elsewhere_from_its_last_collected_snapshot() -> None:
    world = World.of(limits(1), length=Length(5, 1))
    world.join()
    (slot,) = world.workers
    world.work(slot)
    world.work(slot)
    world.arrive()
    world.arrive()
    world.lose(slot)
    world.join()
    (worker,) = world.workers.values()
    (load,) = worker.turns[0].loads
    assert (load.checkpoint, load.attempt) == ("0/0/2", 1)
    world.work_all()
    assert sorted(key[2] for key in world.reports) == [1, 2, 3, 4, 5]


def test_interrupted_slots_finish_the_advance_in_flight_snapshot_and_leave_trials_running() -> None:
    world = World.of(limits(9, width=2), length=Length(5, 1))
    world.join()
    world.enter(Interrupted())
    world.work_all()
    assert world.state.ended
    assert world.state.phase is Phase.STOPPING
    assert not world.told
    assert {snapshot.trial for snapshot in world.arriving} == {0, 1}


def test_interrupted_slots_whose_turns_come_too_late_are_left_behind_with_their_trials() -> None:
    world = World.of(limits(9, width=1, stop_s=3.0), length=Length(5, 1))
    world.join()
    world.join()
    world.enter(Interrupted())
    late, early = world.workers
    world.work(early)
    world.work(early)
    world.work(early)  # the last one saves it
    assert {snapshot.trial for snapshot in world.arriving} == {1}
    assert not ended(world)
    assert not [note for note in world.notes if "late" in note]
    world.enter(Tick())
    assert ended(world)
    assert late not in world.state.slots
    assert world.notes[-1].startswith(f"worker {late} has not finished its step in 3 s")
    assert "trials 0" in world.notes[-1]
    world.work(late)  # what it says now is not heard
    assert not world.told
    assert world.state.trials.keys() == set(world.asked)


def test_interrupted_a_worker_that_measures_widths_is_not_waited_for() -> None:
    world = World.of(limits(9, width=None))
    world.join()
    (worker,) = world.workers.values()
    assert worker.turns[0].probe is not None
    world.enter(Interrupted())
    assert ended(world)


def test_interrupted_turns_that_come_back_without_reports_are_saved_where_they_stand() -> None:
    world = World.of(limits(2, width=2), length=Length(5, 1))
    world.join()
    (slot,) = world.workers
    world.enter(Interrupted())
    for turn in list(world.workers[slot].turns):
        world.enter(TurnDone(slot, TurnResult(turn.number)))
    last = world.workers[slot].turns[-1]
    assert not last.advance
    assert not last.loads
    assert not ended(world)
    world.enter(TurnDone(slot, TurnResult(last.number)))
    assert ended(world)
    assert not world.told


def test_after_the_time_budget_what_runs_ends_and_nothing_new_is_asked() -> None:
    world = World.of(limits(9))
    world.join()
    asked = len(world.asked)
    world.enter(NoMoreAsks())
    world.work_all()
    assert world.state.ended
    assert len(world.told) == len(world.asked) == asked


def test_a_trial_past_its_time_out_fails_when_it_reports() -> None:
    world = World.of(limits(1, timeout_s=2.5), length=Length(9, 1))
    world.join()
    world.work_all()
    assert "timed out" in (world.told[0].outcome.reason or "")


def test_a_silent_worker_is_replaced_and_its_trial_fails() -> None:
    state = State(limits(1, timeout_s=10.0, grace_s=5.0))
    transition(state, SlotJoined("slot", "here", "chip", 0.0), now=0.0)
    world = World(state)
    transition(state, Asked((world.plan(0),)), now=0.0)
    assert not transition(state, Tick(), now=14.0)
    tell, replace = transition(state, Tick(), now=16.0)[:2]
    assert isinstance(replace, Replace)
    assert isinstance(tell, Tell)
    assert "timed out" in (tell.outcome.reason or "")
    assert not state.slots


def test_a_silent_worker_of_several_lanes_blames_nobody_its_trials_run_again_fewer_at_a_time() -> None:
    state = State(limits(2, width=2, timeout_s=10.0, grace_s=5.0))
    transition(state, SlotJoined("slot", "here", "chip", 0.0), now=0.0)
    world = World(state)
    transition(state, Asked((world.plan(0), world.plan(1))), now=0.0)
    assert not [each for each in transition(state, Tick(), now=16.0) if isinstance(each, Tell)]
    joined = transition(state, SlotJoined("slot-2", "here", "chip", 0.0), now=20.0)
    assert [turn.width for turn in turns_in(joined)][:1] == [1]


def test_without_a_time_out_a_silent_worker_is_spoken_of_once_a_turn_and_left_alone() -> None:
    state = State(limits(1))
    transition(state, SlotJoined("slot", "here", "chip", 0.0), now=0.0)
    transition(state, Asked((World(state).plan(0),)), now=0.0)
    (note,) = transition(state, Tick(), now=601.0)
    assert isinstance(note, Note)
    assert "trial.timeout" in note.text
    assert not transition(state, Tick(), now=900.0)


def test_a_worker_out_of_memory_is_replaced_and_its_trials_run_again_fewer_at_a_time() -> None:
    world = World.of(limits(4, width=4))
    world.join()
    (slot,) = world.workers
    number = world.workers[slot].turns[0].number
    world.enter(TurnDone(slot, TurnResult(number, error="out of memory: 3 GB", out_of_memory=True)))
    assert world.replaced == [slot]
    world.join()
    (worker,) = world.workers.values()
    assert worker.turns[0].width == 2
    world.work_all()
    assert {tell.outcome.state for tell in world.told.values()} == {TrialState.COMPLETE}


def test_a_trial_taken_up_again_is_not_judged_again_for_what_it_reported_before() -> None:
    world = World.of(limits(1, told=0), length=Length(3, 1))
    first = World.of(limits(1), length=Length(3, 1))
    first.join()
    (slot,) = first.workers
    result = Worker().carry_out(first.workers[slot].turns[0], {}, frozenset())
    world.asked.append(0)
    world.enter(Taken(world.plan(0), {0: result.reports}, {}, attempts=1))
    world.join()
    world.work_all()
    assert sorted(key[2] for key in world.reports) == [2, 3]
    assert world.told[0].outcome.state is TrialState.COMPLETE


def test_a_trial_whose_last_report_was_recorded_is_told_without_running_again() -> None:
    world = World.of(limits(1), length=Length(1, 1))
    first = World.of(limits(1), length=Length(1, 1))
    first.join()
    (slot,) = first.workers
    result = Worker().carry_out(first.workers[slot].turns[0], {}, frozenset())
    world.asked.append(0)
    world.enter(Taken(world.plan(0), {0: result.reports}, {}, attempts=1))
    assert world.told[0].outcome.values == (0.001,)


def test_an_objective_that_is_not_a_number_at_the_end_fails_its_trial() -> None:
    world = World.of(Limits(trials=1, objectives=(Aim("absent"),)))
    world.join()
    world.work_all()
    assert world.told[0].outcome.state is TrialState.FAIL
    assert "absent" in (world.told[0].outcome.reason or "")


def test_a_slot_opens_no_more_lanes_than_trials_may_run_at_once() -> None:
    world = World.of(limits(6, width=3, max_concurrent=2), length=Length(2, 1))
    world.join()
    world.work_all()
    assert len(world.told) == 6
    assert (2, 2) in world.widths
    assert all(width == busy for width, busy in world.widths)


def reported(aim: Aim, values: list[float], **more: Any) -> World:
    """One trial that reports these values, to its end."""
    bounds = Limits(trials=1, objectives=(aim,), **more)
    world = World.of(bounds, length=Length(len(values), 1), values=values)
    world.join()
    world.work_all()
    return world


@pytest.mark.parametrize(
    ("of", "minimize", "value"),
    [
        ("last", True, 3.0),
        ("best", True, 1.0),
        ("best", False, 4.0),
        (2, True, 2.5),
        (9, True, 2.5),
    ],
)
def test_a_trials_value_is_its_last_report_its_best_or_a_mean_of_the_last(
    of: Any, minimize: bool, value: float
) -> None:
    world = reported(Aim("value", minimize, of), [4.0, 1.0, 2.0, 3.0])
    assert world.told[0].outcome.values == (value,)


def test_replicates_are_those_of_the_best_mean() -> None:
    bounds = Limits(trials=1, objectives=(Aim("value", of="best"),), replicates=2)
    world = World.of(bounds, values=[3.0, 1.0, 2.0])
    world.join()
    world.work_all()
    outcome = world.told[0].outcome
    (value,) = outcome.values or ()
    assert value == pytest.approx(1.05)
    assert outcome.replicates == ((1.0, 1.1),)


def test_a_trial_that_is_out_of_patience_ends_complete_with_its_best() -> None:
    values = [5.0, 3.0, 2.995, 3.5, 1.0, 0.5]
    world = reported(Aim("value", of="best"), values, patience=Patience(2, 0.01))
    outcome = world.told[0].outcome
    assert (outcome.state, outcome.values) == (TrialState.COMPLETE, (2.995,))
    assert max(key[2] for key in world.reports) == 4
    assert world.state.ended


def test_out_of_patience_is_seen_where_the_report_was_recorded_before_a_kill() -> None:
    world = World.of(Limits(trials=1, objectives=(Aim("value", of="best"),), patience=Patience(1, 0.0)))
    first = World.of(limits(1), values=[1.0, 2.0, 3.0])
    first.join()
    worker = first.workers["slot-1"]
    reports: list[Report] = []
    for _ in range(2):
        reports += worker.carry_out(worker.turns[0], {}, frozenset()).reports
        worker.turns[0] = replace(worker.turns[0], loads=())
    world.asked.append(0)
    world.enter(Taken(world.plan(0), {0: tuple(reports)}, {}, attempts=1))
    assert world.told[0].outcome.values == (1.0,)


def test_lanes_auto_measures_a_program_once_and_opens_the_best_width() -> None:
    world = World.of(limits(40, width=None), length=Length(2, 1))
    world.join()
    (slot,) = world.workers
    (probe,) = world.workers[slot].turns
    assert probe.probe is not None
    world.work(slot)
    assert world.workers[slot].turns[0].width == 4
    assert len(world.workers[slot].turns[0].loads) == 4
    world.work_all()
    assert len(world.told) == 40
    assert any("examples a second by width: 1: 1, 2: 1, 4: 3" in note for note in world.notes)


def test_a_second_slot_of_the_same_chip_waits_for_the_measurement_of_the_first() -> None:
    world = World.of(limits(40, width=None, slots=2))
    world.join()
    world.join()
    first, second = world.workers.values()
    assert len(first.turns) == 1
    assert not second.turns
    world.work("slot-1")
    assert second.turns[0].width == 4


def test_useful_lane_time_stays_high_and_the_width_halves_as_trials_run_out() -> None:
    world = World.of(limits(50, width=8, prunes=True), length=Length(9, 1), prunes=frozenset(range(0, 50, 3)))
    world.join()
    world.work_all()
    assert len(world.told) == 50
    while_asking = world.state.lane_time_while_asking
    assert while_asking.useful_s > 0.95 * while_asking.total_s > 0
    assert all(busy > width / 2 for width, busy in world.widths)
    widths = [width for width, _ in world.widths]
    assert (widths[0], widths[-1]) == (8, 1)
    assert widths == sorted(widths, reverse=True)


def test_a_slot_widens_when_runs_of_its_program_pile_up() -> None:
    world = World.of(limits(9, width=8, programs=2), length=Length(5, 1))
    world.asked += range(9)
    world.enter(NoMoreAsks())
    world.enter(Asked((world.plan(0),)))
    world.join()
    world.enter(Asked(tuple(world.plan(number) for number in range(1, 9))))
    world.work_all()
    assert world.widths[0] == (1, 1)
    assert (8, 8) in world.widths
    assert len(world.told) == 9


def test_out_of_memory_halves_the_width_and_nothing_is_blamed() -> None:
    world = World.of(limits(8, width=8))
    world.join()
    (slot,) = world.workers
    turn = world.workers[slot].turns[0]
    world.workers[slot].turns.clear()
    world.enter(TurnDone(slot, TurnResult(turn.number, error="out of memory", out_of_memory=True)))
    assert world.replaced == [slot]
    world.join()
    assert turn.width == 8
    world.work_all()
    assert {width for width, _ in world.widths[2:]} <= {4, 2, 1}
    assert [tell.outcome.state for tell in world.told.values()] == [TrialState.COMPLETE] * 8


def test_a_slot_keeps_its_program_while_trials_for_it_wait() -> None:
    world = World.of(limits(8, width=2), programs=2, length=Length(1, 1))
    world.asked += range(8)
    world.enter(Asked(tuple(world.plan(number) for number in range(8))))
    world.join()
    (slot,) = world.workers
    programs = []
    while turns := world.workers[slot].turns:
        programs.append(dict(turns[0].signature)["program"])
        world.work(slot)
    assert programs == [0, 0, 1, 1]
    assert len(world.told) == 8
