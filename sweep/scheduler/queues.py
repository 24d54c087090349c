"""Runs that wait for a lane, one queue for each program and limit on the width."""

from __future__ import annotations

from collections import deque

from sweep.scheduler import placement
from sweep.scheduler.live import LiveRun, QueueKey
from sweep.scheduler.slots import Slot
from sweep.scheduler.state import State


def enqueue(state: State, run: LiveRun, *, first: bool = False) -> None:
    """Let a run wait for a lane."""
    run.waiting = True
    queue = state.waiting.setdefault(run.key, deque())
    if first:
        queue.appendleft(run.id)
    else:
        queue.append(run.id)


def unqueue(state: State, run: LiveRun) -> None:
    """Take a run out of its queue, if it waits."""
    if run.waiting:
        run.waiting = False
        queue = state.waiting[run.key]
        queue.remove(run.id)
        if not queue:
            del state.waiting[run.key]


def choose(state: State, slot: Slot) -> QueueKey | None:
    """The slot's own queue as long as runs wait in it, else the fullest; None where no run fits the slot."""
    if slot.key is not None and slot.key in state.waiting and placement.fits(state, slot, slot.key.signature):
        return slot.key
    return _fullest(state, slot)


def _fullest(state: State, slot: Slot) -> QueueKey | None:
    """The queue with most runs that the slot may have; of equal ones that whose head is the oldest trial."""
    waiting = [
        (len(queue), -queue[0].trial, key)
        for key, queue in state.waiting.items()
        if placement.fits(state, slot, key.signature)
    ]
    return max(waiting, key=lambda entry: entry[:2])[2] if waiting else None
