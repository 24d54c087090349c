"""In a fixed order members wait at each boundary for all others, and are decided on together.

So what is decided does not depend on who comes first. Members that wait keep their lanes as long as nothing
else wants them; then they are saved and parked, so that fewer lanes than members are enough.
"""

from __future__ import annotations

import math

from sweep.scheduler import feeding, queues
from sweep.scheduler.live import ONLY, LiveRun
from sweep.scheduler.messages import Instruction, Judge
from sweep.scheduler.slots import Slot
from sweep.scheduler.state import State

PARKED = math.inf
"""Until when a member that waits without a lane is paused: until it is decided on."""


def arrive(state: State, judge: Judge) -> None:
    """A member stands at a boundary where members are decided on."""
    state.standing[judge.number] = judge
    state.unjudged.add(judge.number)


def park(state: State, run: LiveRun) -> None:
    """A member that waits has no lane, or loses it: it trains no further before it is decided on."""
    queues.unqueue(state, run)
    run.slot = None
    state.paused[run.id] = PARKED


def settle(state: State, out: list[Instruction]) -> None:
    """Ask for decisions once all members are there; until then let the others have the lanes."""
    for number in state.standing.keys() - state.trials.keys():
        del state.standing[number]
    if not state.standing:
        return
    if state.all_asked and len(state.standing) == len(state.trials):
        out += [state.standing[number] for number in sorted(state.standing)]
        state.standing.clear()
        return
    for slot in state.slots.values():
        if not slot.in_flight and _is_wanted(state, slot):
            _make_room(state, slot)


def decided(state: State, numbers: frozenset[int]) -> None:
    """Members that were parked wait for a lane again."""
    for number in sorted(numbers, reverse=True):  # the first is put in front of the others last
        run = state.trials[number].runs[ONLY] if number in state.trials else None
        if run is not None and state.paused.get(run.id) == PARKED:
            del state.paused[run.id]
            queues.enqueue(state, run, first=True)


def _is_wanted(state: State, slot: Slot) -> bool:
    """Whether a slot has something else to train: members behind in its lanes, or some that wait for one."""
    stand = [run.trial in state.standing for run in slot.holding]
    return any(stand) and (bool(state.waiting) or not all(stand))


def _make_room(state: State, slot: Slot) -> None:
    """Save those that stand, and park them."""
    for id in [each for each in slot.holding if each.trial in state.standing]:
        run, place = state.run(id), slot.place_of(id)
        if run is None:
            continue
        if place is not None:
            slot.saves.append(place)
        lane = slot.vacate(id)
        if lane is not None:
            slot.drops.append(lane)
        run.attempt += 1
        park(state, run)
    feeding.open_slot(state, slot)
