"""What every executor does: hold slots, carry turns and chunks, report what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import SlotJoined, SlotLost, Turn, TurnDone


@dataclass(frozen=True)
class Chunk:
    """A piece of a snapshot that is being gathered, in order; an empty one ends it."""

    slot: str
    snapshot: Snapshot
    data: bytes


ExecutorEvent = SlotJoined | SlotLost | TurnDone | Chunk


class Executor(Protocol):
    """Slots that carry out turns. No call but `wait` and `start` may block.

    Turns of a slot are carried out in the order given. Once `SlotLost` is reported for a slot, nothing
    further comes from it; the executor starts a worker in its stead by itself and reports it as another
    slot. `slots` is how many it means to have.
    """

    slots: int

    def start(self) -> None:
        """Begin to bring up slots; each is reported by a `SlotJoined`. Raises SweepError."""

    def submit(self, slot: str, turn: Turn) -> None: ...

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        """Fetch a snapshot's bytes, reported as `Chunk`s; the worker's own file is deleted at the end."""

    def discard(self, slot: str, snapshot: Snapshot) -> None: ...

    def replace(self, slot: str, reason: str) -> None:
        """End a worker, whatever it is doing, and start another."""

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        """What has happened: all that is there, or the first thing within `timeout_s`."""

    def close(self) -> None:
        """End all workers that `start` began, and nothing else."""
