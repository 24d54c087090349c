"""Slots on their way back to other studies, and what other studies must know of this one."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from sweep.driver.checkpoint_collector import CheckpointCollector
from sweep.driver.limits import share_of
from sweep.executors.base import Executor, SharedExecutor
from sweep.scheduler import State
from sweep.scheduler.messages import SlotReleased
from sweep.spec.schema import StudySpec

ARRIVES_WITHIN_S = 30.0
"""How long a checkpoint may be on its way from a slot that is given back."""

LOOK_EVERY_S = 0.25
"""How often it is counted how many slots the study has work for."""


class Releasing:
    """Does nothing where the executor shares no slots."""

    def __init__(
        self, executor: Executor, collector: CheckpointCollector, clock: Callable[[], float]
    ) -> None:
        self._shared = executor if isinstance(executor, SharedExecutor) else None
        self._collector = collector
        self._clock = clock
        self._began = clock()
        self._looked = -inf
        self._since: dict[str, float] = {}

    def begin(self, slot: str) -> None:
        """What the slot has saved is fetched; then it is given back."""
        self._since[slot] = self._clock()
        self._collector.fetch_from(slot)

    def slot_lost(self, slot: str) -> None:
        """There is nothing to give back any more."""
        self._since.pop(slot, None)

    def released(self) -> list[SlotReleased]:
        """Give back those from which all has arrived, or does not arrive."""
        now = self._clock()
        over = [
            slot
            for slot, since in self._since.items()
            if not self._collector.is_coming_from(slot) or now - since > ARRIVES_WITHIN_S
        ]
        for slot in over:
            del self._since[slot]
            self._collector.slot_lost(slot)
            if self._shared is not None:
                self._shared.release(slot)
        return [SlotReleased(slot) for slot in over]

    def look(self, state: State) -> None:
        """Say how many slots the study has work for, which have none, and about when it ends."""
        now = self._clock()
        if self._shared is None or now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        left = state.limits.trials - state.limits.told - state.told
        ends_in_s = left * (now - self._began) / state.told if state.told else None
        idle = [slot.id for slot in state.slots.values() if not slot.holding]
        self._shared.want(state.slots_wanted, ends_in_s, idle)

    def steer(self, spec: StudySpec) -> None:
        """The study may have another share."""
        share = share_of(spec)
        if self._shared is not None and share is not None:
            self._shared.ask_for(share)
