"""`State.validate` finds each broken invariant by name, and the log says how it came to this."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from sweep.scheduler import Aim, Limits, State, feeding, placement
from sweep.scheduler.live import Boundary, LiveTrial, QueueKey
from sweep.scheduler.messages import Ask, Tick
from sweep.scheduler.slots import Flight, PlannedLane
from sweep.scheduler.validation.transition_log import KEPT, MOST_INSTRUCTIONS, TransitionLog
from sweep.vocabulary.trial import Length, RunId, Snapshot
from tests.sweep.world import World


def working() -> World:
    """Two trials of two replicates in lanes, one run recorded further than the other, more runs waiting."""
    world = World.of(Limits(trials=8, objectives=(Aim("value"),), width=2, replicates=2), length=Length(4, 1))
    world.join()
    world.join()
    world.work("slot-1")
    world.arrive()
    return world


def lane_of_another(state: State) -> None:
    slot = state.slots["slot-1"]
    slot.lanes[0] = slot.lanes[1]


def checkpoint_beyond(state: State) -> None:
    run = state.trials[0].runs[0]
    run.checkpoint = Snapshot(0, 0, run.recorded + 1, "path", 1, "")


def finished_early(state: State) -> None:
    slot = state.slots["slot-1"]
    slot.lanes.clear()
    slot.in_flight.clear()
    del slot.holding[RunId(0, 0)]
    state.trials[0].runs[0].finished = True


def queued_twice(state: State) -> None:
    queue = next(iter(state.waiting.values()))
    queue.append(queue[0])


def flight_ahead(state: State) -> None:
    (number, flight), *_ = state.slots["slot-1"].in_flight.items()
    runs = {id: attempt + 1 for id, attempt in flight.runs.items()}
    state.slots["slot-1"].in_flight[number] = replace(flight, runs=runs)


def forgotten(state: State) -> None:
    slot = state.slots["slot-1"]
    slot.in_flight.clear()
    feeding.close_slot(state, slot)


def all_finished(state: State) -> None:
    for run in state.trials[0].runs.values():
        run.finished = True


def ended_without_outcome(state: State) -> None:
    state.ending[9] = LiveTrial(replace(state.trials[0].plan, number=9), {})
    state.entered += 1


def row_of_all(state: State) -> None:
    state.trials[0].boundaries[1] = {replicate: {} for replicate in state.trials[0].runs}


def limited_to_nothing(state: State) -> None:
    run = state.trials[0].runs[0]
    run.key = run.key._replace(limit=0)


def less_left(state: State) -> None:
    lane = next(lane for lane in state.slots["slot-1"].lanes if lane is not None)
    lane.left = -1


def three_turns_out(state: State) -> None:
    state.slots["slot-1"].in_flight.update({number: Flight(2, {}) for number in (-3, -2, -1)})


def one_more_turn(state: State, number: int, flight: Flight) -> None:
    flights = state.slots["slot-1"].in_flight
    first = next(iter(flights.values()))
    flights.clear()
    flights.update({number - 1: first, number: flight})


def held_by_no_lane(state: State) -> None:
    slot = state.slots["slot-1"]
    slot.lanes[:] = [None] * len(slot.lanes)
    slot.in_flight.clear()
    slot.in_flight[state.turns] = Flight(2, {})


def starved_without_a_turn(state: State) -> None:
    forgotten(state)
    state.starved_slots["slot-1"] = None


BREAKS: dict[str, Callable[[State], object]] = {
    "a run is in one lane": lane_of_another,
    "a checkpoint stands nowhere beyond the recorded reports": checkpoint_beyond,
    "a run is in one place: queue, slot, pause or finished": queued_twice,
    "no turn is ahead of its run's attempts": flight_ahead,
    "a slot with nothing to do is looked at": forgotten,
    "only live runs wait or are held": lambda state: state.trials.pop(0),
    "no queue is empty": lambda state: state.waiting.update({QueueKey((), 7): deque()}),
    "a finished run has recorded all its reports": finished_early,
    "a run names the slot that holds it": lambda state: setattr(state.trials[0].runs[0], "slot", "slot-2"),
    "a run records no more reports than its length has": lambda state: setattr(
        state.trials[0].runs[0], "recorded", 5
    ),
    "a lane holds a live run that its slot holds": lambda state: state.slots["slot-1"].lanes.__setitem__(
        0, PlannedLane(RunId(99, 0), 1)
    ),
    "a dropped lane is free, and dropped once": lambda state: state.slots["slot-1"].drops.append(0),
    "a slot has lanes once it has a program": lambda state: setattr(state.slots["slot-1"], "key", None),
    "a turn is as wide as its runs need": lambda state: state.slots["slot-1"].in_flight.update(
        {state.turns: Flight(0, {})}
    ),
    "a slot is in one group": lambda state: (
        state.open_slots.update({"slot-1": None}),
        state.starved_slots.update({"slot-1": None}),
    ),
    "groups of slots name slots that there are": lambda state: state.open_slots.update({"gone": None}),
    "an idle slot has no turn out": lambda state: state.idle_slots.update({"slot-1": None}),
    "only live trials await a verdict": lambda state: state.unjudged.add(99),
    "a trial that has ended is live no more": lambda state: state.ending.update(
        dict(list(state.trials.items())[:1])
    ),
    "a trial that has ended has an outcome, and is in no slot": ended_without_outcome,
    "trials entered are live, have ended or are told": lambda state: setattr(state, "told", state.told + 1),
    "wanted lanes are the sum over slots": lambda state: setattr(state, "wanted", (state.wanted or 0) + 1),
    "a trial whose runs are all finished is told": all_finished,
    "a boundary waits only until all replicates reach it": row_of_all,
    "a limit on the width is at least 1": limited_to_nothing,
    "a lane has no fewer than 0 advances left": less_left,
    "at most two turns are out, in order": three_turns_out,
    "turns are numbered from the count": lambda state: one_more_turn(state, state.turns + 1, Flight(2, {})),
    "a slot measures widths before all other turns": lambda state: one_more_turn(
        state, state.turns, Flight(2, {}, probes=())
    ),
    "a held run is in a lane or in a turn that is out": held_by_no_lane,
    "a starved slot has a turn out": starved_without_a_turn,
    "a slot is drained only where it leaves, or all stop": lambda state: setattr(
        state.slots["slot-1"], "drained", True
    ),
}


@pytest.mark.parametrize("invariant", BREAKS)
def test_a_broken_invariant_is_named(invariant: str) -> None:
    world = working()
    world.state.validate()
    BREAKS[invariant](world.state)
    with pytest.raises(AssertionError, match=invariant):
        world.state.validate()


def test_validating_after_every_transition_catches_a_bug_put_into_the_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run taken without leaving its queue, as a slip in `placement.take` would have it."""
    monkeypatch.setattr(placement, "take", lambda state, slot, signature, queue: queue[0])
    with pytest.raises(AssertionError, match="broken invariant: a queue holds waiting runs"):
        working()


def test_the_log_keeps_the_last_transitions_with_what_they_led_to() -> None:
    world = working()
    text = str(world.state.log)
    assert text.index("SlotJoined(slot='slot-1'") < text.index("-> Ask(count=") < text.index("-> RunTurn(")
    world.work_all()
    assert len(world.state.log) == KEPT
    assert "SlotJoined(slot='slot-1'" not in str(world.state.log)
    assert max(map(len, str(world.state.log).splitlines())) < 300


def test_the_log_keeps_the_last_transition_however_much_it_led_to_and_few_instructions_besides() -> None:
    log, wide = TransitionLog(), [Ask(1)] * MOST_INSTRUCTIONS
    for now in range(3):
        log.enter(now, Tick(), wide)
    assert len(log) == 1
    log.enter(3, Tick(), [])
    assert len(log) == 2
    for now in range(2 * KEPT):
        log.enter(now, Tick(), [Ask(1)])
    assert len(log) == KEPT


@pytest.mark.parametrize(("ends", "values"), [((30, 30), [5.0, 1.0]), ((20, 30), [5.0, 3.0])])
def test_last_reports_count_together_only_where_runs_ended_apart(
    ends: tuple[int, int], values: list[float]
) -> None:
    """One replicate reported once more, earlier: that is no end apart from the other's."""
    trial = working().state.trials[0]
    trial.boundaries, trial.passed = {10: {0: {"value": 9.0}}}, []
    last = {20: 5.0, 30: 1.0}
    trial.passed = [Boundary.of([{"value": last[at]}] * 2) for at in (20, 30) if at <= min(ends)]
    for run, end in zip(trial.runs.values(), ends, strict=True):
        run.reported, run.latest = end, {"value": last[end]}
    trial.level()
    assert [boundary.means["value"] for boundary in trial.passed] == values
