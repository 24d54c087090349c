"""One slot in this very process: for tests, debuggers and quick studies. Importing it imports MLX."""

from __future__ import annotations

from collections import deque

from sweep.executors.base import Chunk, ExecutorEvent
from sweep.scheduler.messages import SlotJoined, TurnDone
from sweep.trial import Snapshot
from sweep.turn import Turn, WorkerSettings
from sweep.worker import Worker

SLOT = "inline"


class InlineExecutor:
    """Carries out each turn when it is waited for."""

    slots = 1

    def __init__(self, settings: WorkerSettings) -> None:
        self._worker = Worker(settings)
        self._turns: deque[Turn] = deque()
        self._events: deque[ExecutorEvent] = deque()

    def start(self) -> None:
        info = self._worker.info()
        self._events.append(SlotJoined(SLOT, info.host, info.chip, round_trip_s=0.0))

    def submit(self, slot: str, turn: Turn) -> None:
        self._turns.append(turn)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        offset = 0
        while chunk := self._worker.spool.read_chunk(snapshot.path, offset):
            self._events.append(Chunk(slot, snapshot, chunk))
            offset += len(chunk)
        self._events.append(Chunk(slot, snapshot, b""))
        self._worker.spool.discard(snapshot.path)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        self._worker.spool.discard(snapshot.path)

    def replace(self, slot: str, reason: str) -> None:
        """Nothing can end a turn of this process from within; it is heard once the turn is over."""

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        if not self._events and self._turns:
            turn = self._turns.popleft()
            self._events.append(TurnDone(SLOT, self._worker.turn(turn)))
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        self._worker.close()
