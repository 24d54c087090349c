"""A complete trial is told once what stays of it is there; what was lost with a worker is made again."""

from __future__ import annotations

import pytest

from sweep.scheduler import Aim, Limits
from sweep.scheduler.endings import FINISHED_BY_HAND, PRUNED_BY_HAND
from sweep.scheduler.messages import Finish, Interrupted, Kept, Prune, Taken, Unsaved
from sweep.vocabulary.trial import Report, Snapshot, TrialState
from sweep.vocabulary.turn import Loss
from tests.sweep.world import World


def world(trials: int = 1, **limits: object) -> World:
    home = World.of(Limits(trials, (Aim("value"),), keeps=True, **limits))  # type: ignore[arg-type]
    home.join()
    return home


def ended(home: World) -> World:
    """Its trials have trained to their ends, and what stays of them is awaited."""
    home.work_all()
    assert home.keeping
    assert home.told == {}
    return home


def test_a_trial_is_told_once_what_stays_of_it_is_there() -> None:
    home = ended(world())
    (keep,) = home.keeping
    assert keep.finals == {0: 3}
    assert (home.state.untold, home.state.ended) == (1, False)
    home.enter(Kept(0))
    home.enter(Kept(0))
    assert home.told[0].outcome == keep.outcome
    assert home.state.ended


def test_while_it_waits_it_counts_as_one_that_trains() -> None:
    home = world(trials=9, max_concurrent=2)
    while not home.keeping:
        home.work("slot-1")
    assert len(home.asked) == 2
    home.enter(Kept(0))
    assert len(home.asked) == 3


def test_what_was_lost_is_made_again_from_the_last_checkpoint_and_reported_once() -> None:
    home = world()
    home.work("slot-1")
    home.arrive()
    ended(home)
    home.lose("slot-1", Loss.NODE)
    home.enter(Unsaved(0, (0,)))
    home.join()
    home.work_all()
    assert set(home.reports.values()) == {1}
    assert [keep.finals for keep in home.keeping] == [{0: 3}, {0: 3}]
    assert home.state.ending[0].ledger["lost_s"] == 2.0, "two of its three reports are trained for again"
    home.enter(Kept(0))
    assert home.told[0].outcome.state is TrialState.COMPLETE
    assert home.told[0].outcome.values == home.keeping[0].outcome.values


def test_what_arrives_meanwhile_is_what_it_resumes_from() -> None:
    home = ended(world())
    while home.arriving[0].examples < 2:
        home.arrive()
    home.arrive()
    home.enter(Unsaved(0, (0,)))
    (load,) = home.workers["slot-1"].turns[0].loads
    assert load.checkpoint == "0/0/2"


def test_only_the_replicates_that_lost_theirs_run_again() -> None:
    home = ended(world(replicates=2, width=2))
    home.enter(Unsaved(0, (1,)))
    home.work_all()
    home.enter(Kept(0))
    assert len(home.told) == 1
    assert sum(home.reports.values()) == 6


def test_it_is_complete_also_where_making_it_again_fails() -> None:
    home = ended(world())
    home.failing = frozenset({home.state.ending[0].runs[0].id})
    home.enter(Unsaved(0, (0,)))
    home.work_all()
    assert home.told[0].outcome.state is TrialState.COMPLETE


def test_a_request_on_record_of_a_killed_session_is_done_where_the_end_only_waits() -> None:
    home = ended(world(trials=2))
    home.enter(Prune(0))
    home.enter(Finish(1))
    for number in (0, 1):
        home.enter(Kept(number))
    ends = [(home.told[number].outcome.state, home.told[number].outcome.reason) for number in (0, 1)]
    assert ends == [(TrialState.PRUNED, PRUNED_BY_HAND), (TrialState.COMPLETE, FINISHED_BY_HAND)]


def test_one_that_a_person_ends_is_not_made_again() -> None:
    home = world()
    home.work("slot-1")
    home.enter(Finish(0))
    ended(home)
    assert home.keeping[0].finals == {}
    home.enter(Unsaved(0, (0,)))
    assert home.told[0].outcome.reason == FINISHED_BY_HAND


def test_after_an_interruption_it_is_told_if_its_checkpoint_comes_and_else_left() -> None:
    home = ended(world())
    home.enter(Interrupted())
    home.enter(Unsaved(0, (0,)))
    assert (home.told, home.state.untold, home.state.ended) == ({}, 1, True)


@pytest.mark.parametrize("has_final", [False, True])
def test_of_a_resumed_trial_with_all_reports_the_final_checkpoint_is_asked_for(*, has_final: bool) -> None:
    home = World.of(Limits(1, (Aim("value"),), keeps=True))
    reports = tuple(
        Report(0, 0, each, each, each, {"value": 1.0}, attempt=0, width=1, lane=0, host="here", time=0.0)
        for each in (1, 2, 3)
    )
    path = f"0/0/{3 if has_final else 2}"
    saved = Snapshot(0, 0, 3 if has_final else 2, path, 1, "", final=has_final)
    home.checkpoints[path] = saved.examples
    home.asked.append(0)
    home.enter(Taken(home.plan(0), {0: reports}, {0: saved}, attempts=1))
    (keep,) = home.keeping
    assert keep.finals == ({} if has_final else {0: 3})


def test_in_a_fixed_order_no_trial_is_asked_for_before_it_is_told() -> None:
    home = world(trials=4, in_order=True, lag=1)
    while not home.keeping:
        home.work("slot-1")
    assert home.asked == [0]
    home.enter(Kept(0))
    assert home.asked == [0, 1]
