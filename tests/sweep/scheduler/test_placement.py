"""Which slot is given which run, where slots differ in memory or speed."""

from __future__ import annotations

from collections import deque

from sweep.scheduler import Aim, Limits, State, placement, transition
from sweep.scheduler.messages import Asked, RunTurn
from sweep.scheduler.slots import Slot
from sweep.vocabulary.trial import Length, RunId, TrialPlan, TrialState
from sweep.vocabulary.turn import SlotJoined, Spent, TurnDone, TurnResult
from tests.sweep.world import World

SMALL, LARGE = 8_000_000_000, 64_000_000_000
SIGNATURE = (("program", 0),)


def limits(trials: int) -> Limits:
    return Limits(trials=trials, objectives=(Aim("value"),))


def out_of_memory(world: World, slot: str) -> None:
    number = world.workers[slot].turns.pop(0).number
    world.enter(TurnDone(slot, TurnResult(number, error="out of memory: 9 GB", out_of_memory=True)))


def test_a_trial_too_large_for_a_small_node_runs_again_on_a_larger_one_and_only_there() -> None:
    world = World.of(limits(6))
    world.join(memory_bytes=SMALL)
    world.join(memory_bytes=LARGE)
    out_of_memory(world, "slot-1")
    assert not world.told
    assert any("it runs again elsewhere" in note for note in world.notes)
    world.join(memory_bytes=SMALL)  # in the place of the one that was given up
    assert not world.workers["slot-3"].turns, "what is known not to fit is not tried"
    world.work_all()
    assert [world.told[number].outcome.state for number in range(6)] == [TrialState.COMPLETE] * 6


def test_another_program_still_runs_on_the_small_node() -> None:
    world = World.of(limits(8), programs=2)
    world.join(memory_bytes=SMALL)
    world.join(memory_bytes=LARGE)
    (failing,) = {turn.signature for turn in world.workers["slot-1"].turns}
    out_of_memory(world, "slot-1")
    world.join(memory_bytes=SMALL)
    while any(worker.turns for worker in world.workers.values()):
        for name, worker in world.workers.items():
            if worker.turns:
                assert name != "slot-3" or worker.turns[0].signature != failing
                world.work(name)
    assert len(world.told) == 8


def test_where_no_node_has_more_memory_the_trial_fails_by_itself() -> None:
    world = World.of(limits(1))
    world.join(memory_bytes=LARGE)
    world.join(memory_bytes=LARGE)
    (busy,) = [name for name, worker in world.workers.items() if worker.turns]
    out_of_memory(world, busy)
    assert world.told[0].outcome.state is TrialState.FAIL
    assert "out of memory" in (world.told[0].outcome.reason or "")


def test_a_trial_whose_large_node_has_left_is_tried_on_what_there_is() -> None:
    world = World.of(limits(2))
    world.join(memory_bytes=SMALL)
    world.join(memory_bytes=LARGE)
    out_of_memory(world, "slot-1")
    world.join(memory_bytes=SMALL)
    world.lose("slot-2")
    world.work_all()
    assert len(world.told) == 2


def unlike(*lengths: int) -> tuple[State, deque[RunId]]:
    """Two slots of unlike chips, measured, and runs of such lengths that wait."""
    state = State(limits(4))
    plans = [TrialPlan(number, 0, {}, SIGNATURE, Length(length, 1)) for number, length in enumerate(lengths)]
    transition(state, Asked(tuple(plans)), now=0.0)
    state.slots = {name: Slot(name, "here", chip, 0.0) for name, chip in (("slow", "M1"), ("fast", "M4"))}
    state.speeds = {SIGNATURE: {"M1": 10.0, "M4": 50.0}}
    (queue,) = state.waiting.values()
    return state, queue


def test_the_fastest_chip_takes_the_longest_and_a_slower_one_the_shortest() -> None:
    state, queue = unlike(20, 10, 30)
    assert placement.take(state, state.slots["fast"], SIGNATURE, queue).trial == 2
    assert placement.take(state, state.slots["slow"], SIGNATURE, queue).trial == 1
    assert list(queue) == [RunId(0, 0)]


def test_trials_of_one_length_keep_their_order_on_any_chip() -> None:
    state, queue = unlike(10, 10, 10)
    assert placement.take(state, state.slots["slow"], SIGNATURE, queue).trial == 0
    assert placement.take(state, state.slots["fast"], SIGNATURE, queue).trial == 1


def test_without_a_measurement_or_another_chip_the_order_is_kept() -> None:
    state, queue = unlike(20, 10, 30)
    del state.speeds[SIGNATURE]["M1"]
    assert placement.take(state, state.slots["slow"], SIGNATURE, queue).trial == 0
    assert placement.take(state, state.slots["fast"], SIGNATURE, queue).trial == 1


def test_speeds_are_measured_from_turns() -> None:
    state = State(limits(1))
    transition(state, SlotJoined("slot", "here", "M4", 0.0), now=0.0)
    plan = TrialPlan(0, 0, {}, SIGNATURE, Length(20, 10))
    out = transition(state, Asked((plan,)), now=0.0)
    (turn, *_) = [each.turn for each in out if isinstance(each, RunTurn)]
    spent = {RunId(0, 0): Spent(train_s=2.0, examples=10)}
    transition(state, TurnDone("slot", TurnResult(turn.number, spent=spent, turn_s=2.0)), now=2.0)
    assert state.speeds == {SIGNATURE: {"M4": 5.0}}


def test_widths_are_measured_for_each_size_of_memory_of_one_chip() -> None:
    world = World.of(Limits(trials=16, objectives=(Aim("value"),), width=None))
    world.join(memory_bytes=SMALL)
    world.join(memory_bytes=LARGE)
    world.work_all()
    assert {kind for kind, _ in world.state.rates} == {("chip", 8), ("chip", 64)}
    assert len(world.told) == 16
