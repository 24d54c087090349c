"""`executor: inline`: one slot in the driver's own process, for tests, debuggers and quick studies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.executors.base import Assignment, Chunk, ExecutorEvent, Traits
from sweep.executors.cluster import Cluster
from sweep.executors.trainer import lasting_trainer
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import (
    WATCHDOG_ADVICE,
    Loss,
    SlotJoined,
    SlotLost,
    Turn,
    TurnDone,
    TurnResult,
    WorkerSettings,
)

if TYPE_CHECKING:
    from sweep.worker.worker import Worker


class InlineExecutor:
    """Carries out each turn when it is waited for."""

    slots = 1

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._call = _in_this_thread if current_thread() is main_thread() else _in_lasting_thread
        self._worker: Worker = self._call(lambda: _new_worker(settings))
        self._slot = "inline"
        self._is_cut_short = False
        self._started = 1
        self._turns: deque[Turn] = deque()
        self._events: deque[ExecutorEvent] = deque()

    def start(self) -> None:
        info = self._call(self._worker.info)
        self._events.append(SlotJoined(self._slot, info.host, info.chip, 0.0, info.memory_bytes))

    def submit(self, slot: str, turn: Turn) -> None:
        self._turns.append(turn)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        if slot != self._slot:
            return
        offset = 0
        while chunk := self._worker.spool.read_chunk(snapshot.path, offset):
            self._events.append(Chunk(slot, snapshot, chunk))
            offset += len(chunk)
        self._events.append(Chunk(slot, snapshot, b""))
        self._worker.spool.discard(snapshot.path)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        if slot == self._slot:
            self._worker.spool.discard(snapshot.path)

    def replace(self, slot: str, reason: str) -> None:
        """Put another worker in its place; a turn of this process cannot be ended from within."""
        self._worker.close()
        self._worker = self._call(lambda: _new_worker(self._settings))
        if self._is_cut_short:
            self._worker.cut_short()
        self._turns.clear()
        self._events.clear()
        self._events.append(SlotLost(self._slot, Loss.PROCESS, reason))
        self._started += 1
        self._slot = f"inline.{self._started}"
        self.start()

    def cut_short(self) -> None:
        self._is_cut_short = True
        self._worker.cut_short()

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        if not self._events and self._turns:
            turn = self._turns.popleft()
            result: TurnResult = self._call(lambda: self._worker.turn(turn))
            if result.device_lost:
                raise SweepError(_refused(result.error or ""))
            self._events.append(TurnDone(self._slot, result))
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        self._worker.close()


def _refused(reason: str) -> str:
    """The study ends: another worker in this process would be refused as well, and no trial caused it."""
    first = reason.splitlines()[0] if reason else "it did not say why"
    return (
        f"the GPU refuses this process from now on: {first}. `executor: inline` has no other process to "
        "train in. Recorded results are safe; run the same command to resume, or use executor: ray, which "
        f"replaces such a worker. {WATCHDOG_ADVICE}"
    )


def _in_this_thread(call: Callable[[], Any]) -> Any:
    return call()


def _in_lasting_thread(call: Callable[[], Any]) -> Any:
    return lasting_trainer().submit(call).result()


def _new_worker(settings: WorkerSettings) -> Worker:
    from sweep.worker.worker import Worker  # imports MLX

    return Worker(settings)


class InlineFactory:
    """One trial's step at a time in the driver's own process."""

    traits = Traits(in_process=True)

    def prepare(self, cluster: Cluster | None) -> None: ...

    def make(self, assignment: Assignment) -> InlineExecutor:
        return InlineExecutor(assignment.settings)


FACTORY = InlineFactory
