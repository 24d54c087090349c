"""Slots that are given back: their runs are saved, their workers end, and no trial hears of it."""

from __future__ import annotations

from sweep.scheduler import faults, feeding
from sweep.scheduler.messages import Instruction, Release, SlotReleased
from sweep.scheduler.state import State
from sweep.vocabulary.turn import SlotReclaimed


def reclaim(state: State, event: SlotReclaimed, now: float) -> None:
    """The slot trains no further: once its turns are back, its runs are saved."""
    slot = state.slots.get(event.slot)
    if slot is None or slot.leave_by is not None:
        return
    slot.leave_by = now + event.within_s
    state.leaving[slot.id] = None
    state.wanted = None
    feeding.open_slot(state, slot)


def let_go(state: State, now: float, out: list[Instruction]) -> None:
    """Give back each slot that holds nothing, is saved, or has had its time."""
    for id in list(state.leaving):
        slot = state.slots.get(id)
        if slot is None or slot.leave_by is None:
            del state.leaving[id]
            continue
        is_saved = not slot.in_flight and (slot.drained or not slot.holding)
        if is_saved or now >= slot.leave_by:
            del state.leaving[id]
            slot.released = True
            out.append(Release(id))


def released(state: State, event: SlotReleased, now: float) -> None:
    """A slot is given back: its runs resume elsewhere, from where they were saved."""
    slot = state.slots.pop(event.slot, None)
    if slot is None:
        return
    feeding.close_slot(state, slot)
    state.leaving.pop(slot.id, None)
    state.wanted = None
    training = {run.id for flight in slot.in_flight.values() for run in state.still_in(flight)}
    for id in list(slot.holding):
        run = state.run(id)
        if run is None:
            continue
        if id in training:
            state.trials[id.trial].add("lost_s", now - slot.started)
        faults.requeue(state, run, now, limit=None)
