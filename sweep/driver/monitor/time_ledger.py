"""Where a session's wall time went: what the driver did, what the slots did, and why some were idle."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sweep.scheduler import Phase, State
from sweep.scheduler.slots import Slot


class TimeLedger:
    """Seconds by what they went into.

    `driver` holds what the driver did: ask, judge, tell, disk, wait (for workers), other. `slots` sums over
    slots: working; idle for a verdict (the pruner is asked about what they hold), for want of trials (the
    budget is used, or all may run that may at once), while stopping, or for the driver's next turn.
    `starting` is how long the first slot took.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._seen = clock()
        self._first_slot: float | None = None
        self.driver: defaultdict[str, float] = defaultdict(float)
        self.slots: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Enter how long the block takes; blocks do not nest."""
        began = self._clock()
        try:
            yield
        finally:
            self.driver[what] += self._clock() - began

    def look(self, state: State) -> None:
        """Enter the time since the last look under what each slot has been doing since then."""
        now = self._clock()
        if state.slots and self._first_slot is None:
            self._first_slot = now
        else:
            for slot in state.slots.values():
                self.slots[doing(state, slot)] += now - self._seen
        self._seen = now

    def as_json(self) -> Mapping[str, object]:
        """All of it, in seconds."""
        wall_s = self._clock() - self._began
        named = {f"{what}_s": round(seconds, 3) for what, seconds in sorted(self.driver.items())}
        other_s = round(wall_s - sum(self.driver.values()), 3)
        return {
            "wall_s": round(wall_s, 3),
            "starting_s": round((self._first_slot or self._clock()) - self._began, 3),
            "driver": {**named, "other_s": other_s},
            "slots": {f"{what}_s": round(seconds, 3) for what, seconds in sorted(self.slots.items())},
        }


def doing(state: State, slot: Slot) -> str:
    """What a slot is doing, or what it waits for."""
    if slot.in_flight:
        return "working"
    if state.phase is Phase.STOPPING:
        return "idle_stopping"
    if any(run.trial in state.unjudged for run in slot.holding):
        return "idle_verdict"
    if not slot.occupied_lanes() and not any(state.waiting.values()):
        return "idle_no_trials"
    return "idle_driver"
