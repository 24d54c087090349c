"""Which slots are given turns, and how many trials are asked for.

The next turn is given out while the last one runs, since which lanes will be free is known beforehand. Where
a pruner may end one of them, the slot waits for the verdict if an advance is long compared with a round trip;
otherwise what came too late is discarded.
"""

from __future__ import annotations

from sweep.scheduler import turns, widths
from sweep.scheduler.messages import Ask, Instruction, RunTurn
from sweep.scheduler.slots import Slot
from sweep.scheduler.state import Phase, State
from sweep.vocabulary.trial import RunId

STORED_PROGRAMS = 8
"""For how many programs' lanes trials are asked ahead, where that costs nothing."""


def ask(state: State, out: list[Instruction]) -> None:
    """Keep all lanes busy, with a store so that a freed lane finds a trial of its program at once."""
    if not state.may_ask or not state.slots:
        return
    limits = state.limits
    lanes = widths.lanes_wanted(state)
    store = lanes * min(limits.programs, STORED_PROGRAMS) if limits.ahead else len(state.slots)
    want = -(-(lanes + store) // limits.replicates) - state.training
    if limits.together:  # they wait for each other: all must be there
        want = limits.trials
    if limits.max_concurrent is not None:
        want = min(want, limits.max_concurrent - state.training)
    want = int(min(want, limits.trials - state.used, state.may_be_asked))
    if want > 0:
        state.asking = True
        out.append(Ask(want))


def feed(state: State, now: float, out: list[Instruction]) -> None:
    """Give turns to every slot that can take one; those that only want runs are looked at when some wait.

    No slot is given a second turn while another one stands idle.
    """
    for slot_id in list(state.open_slots):
        _feed_slot(state, state.slots[slot_id], 1, now, out)
    _feed_starved(state, state.idle_slots, 1, now, out)
    for slot_id in list(state.open_slots):
        _feed_slot(state, state.slots[slot_id], 2, now, out)
    _feed_starved(state, state.idle_slots, 2, now, out)
    _feed_starved(state, state.starved_slots, 2, now, out)


def open_slot(state: State, slot: Slot) -> None:
    """The slot may be able to take a turn."""
    close_slot(state, slot)
    state.open_slots[slot.id] = None


def close_slot(state: State, slot: Slot) -> None:
    """The slot need not be looked at."""
    for slots in (state.open_slots, state.starved_slots, state.idle_slots):
        slots.pop(slot.id, None)


def _feed_starved(
    state: State, slots: dict[str, None], most: int, now: float, out: list[Instruction]
) -> None:
    if not state.waiting or state.asking:
        return
    for slot_id in list(slots):
        _feed_slot(state, state.slots[slot_id], most, now, out)
        if not state.waiting:
            return


def _feed_slot(state: State, slot: Slot, most: int, now: float, out: list[Instruction]) -> None:
    """Give it as many turns as it may have, `most` for now."""
    while len(slot.in_flight) < min(_depth(state, slot), most):
        turn = turns.next_turn(state, slot, now)
        if turn is None:
            if _is_starved(state, slot):
                close_slot(state, slot)
                (state.starved_slots if slot.in_flight else state.idle_slots)[slot.id] = None
            return
        if not slot.in_flight:
            slot.started = now
        slot.in_flight[turn.number] = turns.flight(state, slot, turn)
        out.append(RunTurn(slot.id, turn))
    if len(slot.in_flight) >= _depth(state, slot):
        close_slot(state, slot)
    elif slot.id not in state.open_slots:
        open_slot(state, slot)


def _is_starved(state: State, slot: Slot) -> bool:
    """Whether only a run that waits could give the slot something to do."""
    judged = not (state.waits(slot) and any(run.trial in state.unjudged for run in slot.holding))
    return judged and state.phase is not Phase.STOPPING and not slot.occupied_lanes()


def _depth(state: State, slot: Slot) -> int:
    """How many turns may be out at once: with two the worker never waits."""
    if slot.brief and all(_has_not_reported(state, id) for id in slot.holding):
        return 1  # like those before it, it ends with its first report: a second turn would train nothing
    waits = state.waits(slot) and any(_verdict_is_due(state, id) for id in slot.holding)
    return 1 if waits or state.phase is Phase.STOPPING else 2


def _has_not_reported(state: State, id: RunId) -> bool:
    run = state.run(id)
    return run is None or (run.length.open and not run.recorded)


def _verdict_is_due(state: State, id: RunId) -> bool:
    """Whether what becomes of the run depends on its next report."""
    run = state.run(id)
    return run is not None and state.limits.is_verdict_due(run.length, run.expected())
