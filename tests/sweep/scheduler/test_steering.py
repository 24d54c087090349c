"""What a person asks of a study that runs, as events: ends of trials, and other limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sweep.scheduler import Aim, Limits, Phase
from sweep.scheduler.faults import UNWANTED_S
from sweep.scheduler.messages import Finish, Interrupted, Limited, NoMoreAsks, Prune, Taken, Tick
from sweep.vocabulary.trial import Length, RunId, TrialState
from sweep.vocabulary.turn import Saving
from tests.sweep.world import World

TEN = Length(10, 1)


def world(trials: int, *, length: Length = TEN, **more: Any) -> World:
    made = World.of(Limits(trials, (Aim("value"),), **more), length=length)
    made.join()
    return made


def change(world: World, **more: Any) -> None:
    world.enter(Limited(replace(world.state.limits, **more)))


def test_a_trial_ends_complete_where_it_stands_with_its_final_checkpoint() -> None:
    study = world(2, width=1)
    study.work("slot-1")
    study.enter(Finish(0))
    assert 0 not in study.told
    while 0 not in study.told:
        study.work("slot-1")
    outcome = study.told[0].outcome
    last = max(examples for trial, _, examples in study.reports if trial == 0)
    assert (outcome.state, outcome.reason) == (TrialState.COMPLETE, "finished by hand")
    assert outcome.values == (last / 1000,)
    assert last < 10
    assert study.arriving[-1].final
    assert (study.arriving[-1].trial, study.arriving[-1].examples) == (0, last)
    study.work_all()
    assert sorted(study.told) == [0, 1]


def hung(study: World, seconds: float) -> None:
    """No turn comes back for so long."""
    study.now += seconds
    study.enter(Tick())


def test_a_worker_that_does_not_come_back_from_a_pruned_trial_is_replaced() -> None:
    study = world(3, width=1)
    study.work("slot-1")
    study.enter(Prune(0))
    hung(study, UNWANTED_S / 2)
    assert study.replaced == []
    hung(study, UNWANTED_S)
    assert study.replaced == ["slot-1"]
    assert "from a step whose trials have ended" in study.notes[-1]
    study.join()
    study.work_all()
    assert {number: tell.outcome.state.value for number, tell in study.told.items()} == {
        0: "PRUNED", 1: "COMPLETE", 2: "COMPLETE"
    }  # fmt: skip


def test_a_worker_with_a_trial_that_is_wanted_is_waited_for() -> None:
    study = world(3, width=2)
    study.work("slot-1")
    study.enter(Prune(0))
    hung(study, 10 * UNWANTED_S)
    assert study.replaced == []


def test_a_trial_that_hangs_and_is_finished_by_hand_ends_with_its_last_report() -> None:
    study = world(2, width=1)
    study.work("slot-1")
    study.work("slot-1")
    last = max(examples for trial, _, examples in study.reports if trial == 0)
    study.enter(Finish(0))
    hung(study, UNWANTED_S + 60.0)
    assert study.replaced == ["slot-1"]
    assert study.told[0].outcome.values == (last / 1000,)
    study.join()
    study.work_all()
    assert sorted(study.told) == [0, 1]


def test_long_turns_are_waited_for_longer_before_a_worker_is_replaced() -> None:
    study = world(2, width=1)
    study.now += 100.0
    study.work("slot-1")
    study.enter(Prune(0))
    hung(study, 200.0)
    assert study.replaced == []
    hung(study, 200.0)
    assert study.replaced == ["slot-1"]


def test_a_neighbour_of_a_trial_that_ends_trains_on() -> None:
    study = world(2, width=2)
    study.work("slot-1")
    study.enter(Finish(0))
    study.work_all()
    assert study.told[1].outcome.values == (1 + 10 / 1000,)
    assert study.told[0].outcome.reason == "finished by hand"
    assert max(study.reports.values()) == 1


def test_replicates_end_together_at_the_last_boundary_that_all_have_reached() -> None:
    study = world(1, width=1, slots=2, replicates=2)
    study.join()
    study.work("slot-1")
    study.work("slot-1")
    study.work("slot-2")
    study.enter(Finish(0))
    study.work_all()
    shared = min(
        max(examples for _, replicate, examples in study.reports if replicate == each) for each in (0, 1)
    )
    assert study.told[0].outcome.values == ((shared / 1000 + shared / 1000 + 0.1) / 2,)


def test_a_trial_that_waits_ends_at_once() -> None:
    study = world(1, width=1)
    study.work("slot-1")
    study.lose("slot-1")
    study.enter(Finish(0))
    assert study.told[0].outcome.values == (1 / 1000,)


def test_a_worker_lost_before_it_has_saved_leaves_the_trial_complete() -> None:
    study = world(1, width=1)
    study.work("slot-1")
    study.enter(Finish(0))
    study.lose("slot-1")
    assert study.told[0].outcome.reason == "finished by hand"


def test_what_an_earlier_session_accepted_ends_without_running_again() -> None:
    study = World.of(Limits(1, (Aim("value"),)), length=Length(10, 1))
    first = world(1, width=1)
    first.work("slot-1")
    report = next(iter(first.state.trials[0].runs.values()))
    assert report.recorded == 1
    study.enter(Taken(study.plan(0), {}, {}, attempts=1))
    study.enter(Prune(0))
    assert study.told[0].outcome.state is TrialState.PRUNED
    assert study.told[0].outcome.reason == "pruned by hand"
    assert not study.state.trials


def test_a_pruned_trials_lane_is_free_for_the_next() -> None:
    study = world(2, width=1)
    study.enter(Prune(0))
    assert study.told[0].outcome.state is TrialState.PRUNED
    study.work_all()
    assert study.told[1].outcome.state is TrialState.COMPLETE
    assert study.told[0].outcome.values is None


def test_a_trial_that_has_ended_is_left_alone() -> None:
    study = world(1, length=Length(1, 1))
    study.work_all()
    study.enter(Prune(0))
    study.enter(Finish(0))
    assert study.told[0].outcome.reason is None
    assert not study.state.finishing


def test_an_interrupted_study_keeps_a_trial_that_was_to_end_for_its_next_session() -> None:
    study = world(1, width=1)
    study.work("slot-1")
    study.enter(Finish(0))
    study.enter(Interrupted())
    study.work_all()
    assert study.state.ended
    assert list(study.told) == [0] or list(study.state.trials) == [0]


def test_a_raised_budget_is_asked_for_even_after_the_study_asked_no_more() -> None:
    study = world(1)
    study.enter(NoMoreAsks())
    change(study, trials=3)
    assert study.state.phase is Phase.RUNNING
    study.work_all()
    assert sorted(study.told) == [0, 1, 2]


def test_a_lowered_budget_lets_what_runs_end() -> None:
    study = world(9, width=2)
    asked = len(study.asked)
    change(study, trials=1)
    study.work_all()
    assert sorted(study.told) == list(range(asked))


def test_more_trials_at_once_are_asked_for_at_once() -> None:
    study = world(9, width=4, max_concurrent=1)
    assert study.asked == [0]
    change(study, max_concurrent=3)
    assert study.asked == [0, 1, 2]


def test_fewer_lanes_are_taken_as_lanes_are_free_and_more_at_once() -> None:
    study = world(12, width=4, length=Length(2, 1), ahead=True)
    study.work("slot-1")
    assert len(study.state.slots["slot-1"].lanes) == 4
    change(study, width=2)
    study.work_all()
    widths = [width for width, _ in study.widths]
    assert widths[-1] <= 2
    assert len(study.told) == 12
    late = world(12, width=1, length=Length(4, 1), ahead=True)
    change(late, width=3)
    late.work_all()
    assert max(width for width, _ in late.widths) == 3
    assert len(late.told) == 12


def test_turns_say_how_workers_save_once_that_was_changed() -> None:
    study = world(2, width=1)
    saving = Saving(1.0, final=True)
    assert study.workers["slot-1"].turns[0].saving is None
    change(study, saving=saving)
    study.work("slot-1")
    assert study.workers["slot-1"].turns[-1].saving == saving


def test_a_run_that_is_to_end_and_fails_meanwhile_has_failed() -> None:
    study = world(1, width=1)
    study.work("slot-1")
    study.failing = frozenset({RunId(0, 0)})
    study.enter(Finish(0))
    study.work_all()
    assert study.told[0].outcome.state in (TrialState.FAIL, TrialState.COMPLETE)


def test_in_a_fixed_order_a_trial_ends_once_what_it_reported_is_entered() -> None:
    study = world(2, width=2, in_order=True, lag=2)
    study.work("slot-1")
    study.work("slot-1")
    study.enter(Finish(1))
    study.work_all()
    last = max(examples for trial, _, examples in study.reports if trial == 1)
    assert study.told[1].outcome.reason == "finished by hand"
    assert study.told[1].outcome.values == (1 + last / 1000,)
    assert last < 10
    assert study.told[0].outcome.values == (10 / 1000,)
    late = world(1, width=1, in_order=True, lag=1)
    late.work("slot-1")
    late.lose("slot-1")
    late.enter(Finish(0))
    assert late.told[0].outcome.values == (1 / 1000,)
