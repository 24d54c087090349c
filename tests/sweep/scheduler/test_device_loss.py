"""A GPU that refuses a worker's process, as a Mac's watchdog makes it: no trial is told for it."""

from __future__ import annotations

from sweep.scheduler import Aim, Limits
from sweep.scheduler.device_loss import IN_A_ROW
from sweep.vocabulary.trial import TrialState
from sweep.vocabulary.turn import TurnDone, TurnResult
from tests.sweep.world import World

STRUCK = "RuntimeError: [METAL] Command buffer execution failed: Impacting Interactivity.\nTraceback ..."


def world_of(trials: int, *, width: int | None, max_losses: int = 7) -> World:
    bounds = Limits(trials=trials, objectives=(Aim("value"),), width=width, max_losses=max_losses)
    return World.of(bounds)


def strike(world: World) -> None:
    """The one worker's oldest turn ends with the GPU, and another worker joins."""
    ((slot, worker),) = world.workers.items()
    number = worker.turns.pop(0).number
    world.enter(TurnDone(slot, TurnResult(number, error=STRUCK, device_lost=True)))
    assert world.replaced[-1] == slot
    world.join()


def test_the_worker_is_replaced_and_every_trial_completes() -> None:
    world = world_of(4, width=2)
    world.join()
    strike(world)
    assert world.told == {}
    world.work_all()
    assert [tell.outcome.state for tell in world.told.values()] == [TrialState.COMPLETE] * 4
    assert max(width for width, _ in world.widths) == 2, "one strike narrows nothing"


def test_trials_resume_from_their_last_snapshots() -> None:
    world = world_of(1, width=1)
    world.join()
    world.work("slot-1")
    world.arrive()
    strike(world)
    (worker,) = world.workers.values()
    assert [load.checkpoint for load in worker.turns[0].loads] == ["0/0/1"]


def test_a_program_struck_several_times_in_a_row_trains_fewer_lanes_and_says_what_helps() -> None:
    world = world_of(8, width=4)
    world.join()
    for _ in range(IN_A_ROW):
        strike(world)
    (note,) = [note for note in world.notes if "in a row" in note]
    assert "fewer than 4 lanes" in note
    assert "Impacting Interactivity" in note
    assert "let the display sleep" in note
    assert "AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1" in note
    before = len(world.widths)
    world.work_all()
    assert max(width for width, _ in world.widths[before:]) == 2
    assert [tell.outcome.state for tell in world.told.values()] == [TrialState.COMPLETE] * 8


def test_strikes_with_work_done_in_between_are_not_in_a_row() -> None:
    world = world_of(4, width=2)
    world.join()
    for _ in range(IN_A_ROW):
        strike(world)
        (slot,) = world.workers
        world.work(slot)
    assert not [note for note in world.notes if "in a row" in note]


def test_measuring_is_done_again_and_given_up_after_several_strikes() -> None:
    world = world_of(8, width=None)
    world.join()
    for _ in range(IN_A_ROW):
        (worker,) = world.workers.values()
        assert worker.turns[0].probe is not None
        strike(world)
    world.work_all()
    assert {width for width, _ in world.widths} == {1}
    assert len(world.told) == 8


def test_invariant_11_a_trial_that_loses_the_gpu_alone_again_and_again_fails_in_the_end() -> None:
    world = world_of(1, width=1, max_losses=2)
    world.join()
    for _ in range(3):
        strike(world)
    (tell,) = world.told.values()
    assert tell.outcome.state is TrialState.FAIL
    assert "refused its worker 3 times in a row" in (tell.outcome.reason or "")
