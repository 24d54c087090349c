"""Which slot is given which run, where slots differ: by memory, and by how fast their chips are.

A program that ran out of memory alone is only tried where there is more, as long as there is such a slot.
Of runs that wait for one program, the fastest chip takes the one with most left to do, slower ones that
with least: so the last trials do not end long after the others.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from sweep.scheduler.slots import Slot
from sweep.scheduler.state import State
from sweep.vocabulary.trial import RunId, Signature
from sweep.vocabulary.turn import TurnResult

WINDOW = 32
"""So many of those that wait longest are looked at: a choice among more costs more than it gains."""

NEARLY = 0.9
"""A chip with so much of the fastest one's speed counts as fast."""

MEMORY_OF_SPEED = 0.8
"""How much of a measured speed stays when the next turn is measured."""


def fits(state: State, slot: Slot, signature: Signature) -> bool:
    """Whether the slot may be tried with the program: it is not known to need more, or no slot has more."""
    need = state.needs.get(signature)
    return need is None or slot.memory_bytes > need or not _has_more(state, need)


def ran_out_alone(state: State, slot: Slot, signature: Signature) -> bool:
    """One run by itself was too much for the slot: whether another slot has more memory."""
    state.needs[signature] = max(state.needs.get(signature, 0), slot.memory_bytes)
    return _has_more(state, state.needs[signature])


def _has_more(state: State, memory_bytes: int) -> bool:
    return any(slot.memory_bytes > memory_bytes for slot in state.slots.values())


def measured(state: State, slot: Slot, signature: Signature, result: TurnResult) -> None:
    """Enter how fast a lane of the slot trained."""
    spent = max(result.spent.values(), key=lambda each: each.examples, default=None)
    if spent is None or not spent.examples or spent.train_s <= 0:
        return
    speed, speeds = spent.examples / spent.train_s, state.speeds.setdefault(signature, {})
    before = speeds.get(slot.chip, speed)
    speeds[slot.chip] = MEMORY_OF_SPEED * before + (1 - MEMORY_OF_SPEED) * speed


def take(state: State, slot: Slot, signature: Signature, queue: deque[RunId]) -> RunId:
    """The run for a lane of the slot, out of those that wait for its program."""
    is_fast = _is_fast(state, slot, signature)
    if is_fast is None:
        return queue.popleft()
    left = {id: _left(state, id) for id in islice(queue, WINDOW)}
    chosen = (max if is_fast else min)(left, key=lambda id: left[id])  # of equal ones the first
    queue.remove(chosen)
    return chosen


def _is_fast(state: State, slot: Slot, signature: Signature) -> bool | None:
    """None where only one kind of chip was measured, or this one was not."""
    speeds = state.speeds.get(signature, {})
    if len(speeds) < 2 or slot.chip not in speeds:
        return None
    return speeds[slot.chip] >= NEARLY * max(speeds.values())


def _left(state: State, id: RunId) -> int:
    run = state.trials[id.trial].runs[id.replicate]
    return run.length.examples - run.seen
