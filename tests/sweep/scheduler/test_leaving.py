"""Slots that are given back: what their runs had is saved, and they train on elsewhere."""

from __future__ import annotations

import pytest

from sweep.scheduler import Aim, Limits
from sweep.scheduler.messages import Interrupted, Prune, Tick
from sweep.vocabulary.turn import SlotReclaimed
from tests.sweep.world import World


def world(trials: int = 4, **limits: object) -> World:
    return World.of(Limits(trials, (Aim("value"),), **limits))  # type: ignore[arg-type]


def reclaim(world: World, slot: str, within_s: float = 100.0) -> None:
    world.enter(SlotReclaimed(slot, "for another study", within_s))


def test_a_slot_is_given_back_once_its_runs_are_saved_and_they_resume_from_there() -> None:
    home = world(trials=2)
    home.join()
    home.work("slot-1")
    reclaim(home, "slot-1")
    while home.workers["slot-1"].turns:
        home.work("slot-1")
    assert home.releasing == ["slot-1"]
    while home.arriving:
        home.arrive()
    home.release_all()
    assert (home.state.slots, len(home.state.waiting)) == ({}, 1)
    home.join()
    home.work_all()
    assert len(home.told) == 2
    assert set(home.reports.values()) == {1}, "no report was trained for twice"


def test_a_slot_that_holds_nothing_is_given_back_at_once() -> None:
    home = world(trials=1)
    home.join()
    home.join()
    reclaim(home, "slot-2")
    assert home.releasing == ["slot-2"]


def test_a_slot_that_takes_too_long_is_given_back_without_its_last_steps() -> None:
    home = world(trials=1)
    home.join()
    home.work("slot-1")
    reclaim(home, "slot-1", within_s=10.0)
    home.enter(Tick())
    assert home.releasing == []
    home.now += 10.0
    home.enter(Tick())
    assert home.releasing == ["slot-1"]
    home.release_all()
    home.join()
    home.work_all()
    assert len(home.told) == 1


def test_no_run_is_loaded_where_a_slot_leaves() -> None:
    home = world(trials=4)
    home.join()
    reclaim(home, "slot-1")
    given = len(home.workers["slot-1"].turns)
    while home.workers["slot-1"].turns:
        given -= 1
        assert given >= 0 or not home.workers["slot-1"].turns[0].loads
        home.work("slot-1")
    assert home.releasing == ["slot-1"]


def test_a_slot_that_leaves_may_be_lost_first() -> None:
    home = world(trials=1)
    home.join()
    reclaim(home, "slot-1")
    home.lose("slot-1")
    assert home.releasing == []
    home.join()
    home.work_all()
    assert len(home.told) == 1


def test_what_is_asked_meanwhile_is_done() -> None:
    home = world(trials=1)
    home.join()
    reclaim(home, "slot-1")
    home.enter(Prune(0))
    while home.workers["slot-1"].turns:
        home.work("slot-1")
    assert home.releasing == ["slot-1"]
    home.release_all()
    assert home.state.ended


def test_a_study_that_stops_meanwhile_ends() -> None:
    home = world(trials=2)
    home.join()
    reclaim(home, "slot-1")
    home.enter(Interrupted())
    while home.workers["slot-1"].turns:
        home.work("slot-1")
    assert home.state.ended


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({}, 8),
        ({"max_concurrent": 3}, 3),
        ({"replicates": 2}, 16),
        ({"replicates": 2, "max_concurrent": 3}, 6),
    ],
)
def test_a_study_has_work_for_as_many_slots_as_runs(limits: dict[str, int], wanted: int) -> None:
    home = world(trials=8, **limits)
    assert home.state.slots_wanted == wanted
    home.join()
    assert home.state.slots_wanted == wanted


def test_at_its_end_a_study_wants_those_slots_that_still_train() -> None:
    home = world(trials=2)
    for _ in range(3):
        home.join()
    assert home.state.slots_wanted == 2
    while home.workers["slot-1"].turns:
        home.work("slot-1")
    assert home.state.slots_wanted == 1
