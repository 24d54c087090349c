"""The scheduler in a fixed order: who is asked for, judged and recorded when, with workers of any speed."""

from __future__ import annotations

from typing import Any

from sweep.scheduler import Aim, Limits
from sweep.vocabulary.trial import RunId, TrialState
from tests.sweep.world import World


def world(trials: int, *, slots: int = 2, lag: int | None = 8, **more: Any) -> World:
    """Trials of three reports, judged at the first by what the others reported there."""
    made = {"prunes": True, "rungs": (1,), "compares_running": True, **more}
    settings = {name: made.pop(name) for name in ("ends", "failing") if name in made}
    bounds = Limits(trials=trials, objectives=(Aim("value"),), slots=slots, in_order=True, lag=lag, **made)
    found = World.of(bounds, prunes=settings.get("ends", frozenset()), failing=settings.get("failing", ()))
    for _ in range(slots):
        found.join()
    return found


def recorded(found: World, trial: int) -> list[int]:
    """At how many examples the log has a report of the trial."""
    return sorted(examples for number, _, examples in found.reports if number == trial)


def test_a_trial_is_asked_for_once_all_up_to_the_lag_before_it_have_ended() -> None:
    found = world(8, slots=4, lag=3, prunes=False, compares_running=False)
    assert found.asked == [0, 1, 2], "three may run, whatever lanes are free"
    for _ in range(3):
        found.work("slot-2")
    assert found.told.keys() == {1}
    assert found.asked == [0, 1, 2], "trial 3 would see trial 0, which runs"
    for _ in range(3):
        found.work("slot-1")
    assert found.asked == [0, 1, 2, 3, 4]
    found.work_all()
    assert sorted(found.told) == list(range(8))


def test_without_a_lag_all_lanes_are_filled_at_once() -> None:
    assert world(8, slots=4, lag=None, prunes=False).asked == list(range(8))


def test_a_verdict_waits_for_trials_before_and_the_worker_waits_for_nobody() -> None:
    found = world(2)
    found.work("slot-2")
    assert recorded(found, 1) == [1], "a report is recorded as soon as those before it are judged"
    assert found.workers["slot-2"].turns, "its worker trains on"
    found.work("slot-2")
    assert recorded(found, 1) == [1], "what follows counts once the verdict is known"
    found.work("slot-1")
    assert recorded(found, 0) == [1]
    assert recorded(found, 1) == [1, 2]
    found.work_all()
    assert {tell.outcome.state for tell in found.told.values()} == {TrialState.COMPLETE}


def test_what_a_trial_reported_beyond_the_verdict_that_ends_it_is_dropped() -> None:
    found = world(2, ends=frozenset({1}))
    for _ in range(3):
        found.work("slot-2")
    assert not found.told, "it has trained to its end, and may be pruned at its first report"
    found.work("slot-1")
    assert found.told[1].outcome.state is TrialState.PRUNED
    assert recorded(found, 1) == [1]


def test_a_trial_that_has_trained_to_its_end_keeps_no_lane_from_the_next() -> None:
    found = world(4)
    for _ in range(3):
        found.work("slot-2")
    assert 1 not in found.told
    assert found.state.training == len(found.state.trials) - 1
    assert any(load.run.trial == 2 for turn in found.workers["slot-2"].turns for load in turn.loads)


def test_a_pruner_that_compares_with_ended_trials_alone_waits_for_nobody() -> None:
    found = world(2, compares_running=False, ends=frozenset({1}))
    found.work("slot-2")
    assert found.told[1].outcome.state is TrialState.PRUNED


def test_a_failure_counts_once_what_came_before_it_is_judged() -> None:
    found = world(2, ends=frozenset({1}))
    found.work("slot-2")
    found.failing = frozenset({RunId(1, 0)})
    found.work("slot-2")
    assert not found.told
    found.work("slot-1")
    assert found.told[1].outcome.state is TrialState.PRUNED, "it was to end before it failed"


def test_of_replicates_a_boundary_is_recorded_once_all_have_reached_it() -> None:
    found = world(1, slots=2, replicates=2, width=1, prunes=False)
    found.work("slot-1")
    found.work("slot-1")
    assert recorded(found, 0) == []
    found.work("slot-2")
    assert recorded(found, 0) == [1, 1]
    found.failing = frozenset({RunId(0, 1)})
    found.work("slot-1")
    found.work("slot-2")
    assert found.told[0].outcome.state is TrialState.FAIL
    assert recorded(found, 0) == [1, 1], "what the other replicate reported beyond that is of no trial"
