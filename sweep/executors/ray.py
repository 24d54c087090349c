"""Slots as Ray actors on this machine. The only module that imports ray."""

from __future__ import annotations

import logging
import os
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sweep.errors import SweepError
from sweep.executors.base import Chunk, ExecutorEvent
from sweep.scheduler.messages import Loss, SlotJoined, SlotLost, TurnDone
from sweep.trial import Signature, Snapshot
from sweep.turn import Turn, WorkerSettings

# Read by ray when it is imported: macOS clusters are opt-in, and `uv run` must not be replayed in workers.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray._raylet import setproctitle  # type: ignore[attr-defined]  # its types lack it
from ray.exceptions import RayActorError, RayError, RayTaskError

OBJECT_STORE_BYTES = 256 * 1024 * 1024
"""Checkpoints travel in chunks, so the store holds little."""

RESOURCE = "mlx_slot"
MAX_RESTARTS_IN_A_ROW = 5

LOOK_EVERY_S = 5.0
"""How often it is looked whether Ray's node still lives, while nothing else happens."""


def training_worker(settings: WorkerSettings) -> Any:
    """A worker that trains; called in its own process, so that the driver never loads MLX."""
    from sweep.worker import Worker

    return Worker(settings)


class _Actor:
    """A worker in a process of its own. `io` is a thread that only reads and writes files."""

    def __init__(self, make_worker: Callable[[WorkerSettings], Any], settings: WorkerSettings) -> None:
        self._worker = make_worker(settings)
        self._task = settings.task
        self._program: Signature | None = None
        self._title = ""

    def __repr__(self) -> str:
        """What Ray's dashboard shows beside the actor's name."""
        return str(self._task)

    def info(self) -> Any:
        return self._worker.info()

    def turn(self, pickled: bytes, *incoming: str) -> bytes:
        """Carry out a turn, pickled both ways: Ray's own way for objects takes several times as long.

        `incoming` are the checkpoint files of the turn's loads, in order, already on this host.
        """
        turn: Turn = pickle.loads(pickled)
        if turn.signature != self._program:
            self._program = turn.signature
            self._title = process_title(ray.get_runtime_context().get_actor_name(), turn.signature)
        setproctitle(self._title)  # Ray puts its own there between two calls
        return pickle.dumps(self._worker.turn(turn.with_checkpoints(incoming) if incoming else turn))

    @ray.method(concurrency_group="io")
    def read_chunk(self, path: str, offset: int) -> bytes:
        chunk: bytes = self._worker.spool.read_chunk(path, offset)
        return chunk

    @ray.method(concurrency_group="io")
    def write_chunk(self, name: str, chunk: bytes, first: bool) -> str:
        written: str = self._worker.spool.write_chunk(name, chunk, first=first)
        return written

    @ray.method(concurrency_group="io")
    def discard(self, path: str) -> None:
        self._worker.spool.discard(path)


@dataclass
class _Slot:
    id: str
    place: int
    actor: Any


@dataclass(frozen=True)
class _Call:
    """An answer that is awaited: for a joining slot, a turn, or a chunk."""

    slot: str
    kind: str
    began: float = 0.0
    turn: Turn | None = None
    snapshot: Snapshot | None = None
    offset: int = 0


class RayExecutor:
    """`slots` actors on this machine; a lost one is replaced by another under a new slot name.

    Where Ray's node itself has died, Ray is started anew and all slots with it.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        slots: int,
        gpus: int = 0,
        name: str = "sweep",
        make_worker: Callable[[WorkerSettings], Any] = training_worker,
    ) -> None:
        self._settings = settings
        self._make_worker = make_worker
        self.slots = slots
        self._gpus = gpus
        self._name = name
        self._slots: dict[str, _Slot] = {}
        self._calls: dict[Any, _Call] = {}
        self._ready: deque[ExecutorEvent] = deque()
        self._restarts = 0
        self._started = 0
        self._looked = time.monotonic()

    def start(self) -> None:
        """Start a Ray of our own and one actor a slot."""
        try:
            ray.init(
                address="local",
                num_cpus=self.slots,
                num_gpus=self._gpus,
                resources={RESOURCE: float(self.slots)},
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=True,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace="sweep",
            )
        except Exception as error:  # Ray raises a bare one where it is too slow to start
            ray.shutdown()
            raise SweepError(
                f"Ray did not start on this machine: {error}; where the machine is very busy, wait and run "
                "the same command again"
            ) from error
        for place in range(self.slots):
            self._begin(place)

    def submit(self, slot: str, turn: Turn) -> None:
        actor = self._slots[slot].actor
        incoming = [self._send(actor, path) for path in turn.checkpoints]
        self._call(actor.turn.remote(pickle.dumps(turn), *incoming), _Call(slot, "turn", turn=turn))

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._read(slot, snapshot, offset=0)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        if slot in self._slots:
            self._slots[slot].actor.discard.remote(snapshot.path)

    def replace(self, slot: str, reason: str) -> None:
        if slot in self._slots:
            self._restarts = 0
            self._lose(slot, reason)

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        if not self._ready and self._calls:
            self._collect(timeout_s)
        elif not self._ready:
            time.sleep(timeout_s)
        if not self._ready and time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            if not _node_lives():
                self._start_anew()
        events = list(self._ready)
        self._ready.clear()
        return events

    def close(self) -> None:
        ray.shutdown()

    def _start_anew(self) -> None:
        """Ray's node process is gone: nobody would ever start a worker again."""
        for slot in self._slots:
            self._ready.append(SlotLost(slot, Loss.NODE, "Ray's own process on this machine has ended"))
        self._slots.clear()
        self._calls.clear()
        self._count_restart("Ray's own process on this machine has ended")
        ray.shutdown()
        self.start()

    def _count_restart(self, reason: str) -> None:
        self._restarts += 1
        if self._restarts > MAX_RESTARTS_IN_A_ROW:
            raise SweepError(
                f"workers ended {self._restarts} times in a row before a turn was done; the last: {reason}; "
                "what was recorded is safe, the same command goes on"
            )

    def _begin(self, place: int) -> None:
        """Start a worker in a place; it joins once it has answered twice, the second time for its speed."""
        self._started += 1
        slot = f"slot-{place}" if self._started <= self.slots else f"slot-{place}.{self._started}"
        name = f"{self._name}/{platform.node()}/{slot}"
        actor_class = self._actor_class().options(name=name)
        actor = actor_class.remote(self._make_worker, self._settings)
        self._slots[slot] = _Slot(slot, place, actor)
        self._call(actor.info.remote(), _Call(slot, "hello"))

    def _actor_class(self) -> Any:
        gpus = self._gpus / self.slots
        remote: Any = ray.remote  # its types know no concurrency groups
        return remote(
            num_cpus=1,
            num_gpus=gpus,
            resources={RESOURCE: 1.0},
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"io": 1},
            enable_task_events=False,  # a record a turn for Ray's dashboard costs more than the turn's way
        )(_Actor)

    def _call(self, ref: Any, call: _Call) -> None:
        self._calls[ref] = call

    def _send(self, actor: Any, path: str) -> Any:
        """Bring a checkpoint to the worker's host in chunks; a reference to its path there."""
        from sweep.spool import CHUNK_BYTES

        with open(path, "rb") as file:
            arrived = actor.write_chunk.remote(path, file.read(CHUNK_BYTES), True)
            while chunk := file.read(CHUNK_BYTES):
                arrived = actor.write_chunk.remote(path, chunk, False)
        return arrived

    def _read(self, slot: str, snapshot: Snapshot, offset: int) -> None:
        if slot in self._slots:
            ref = self._slots[slot].actor.read_chunk.remote(snapshot.path, offset)
            self._call(ref, _Call(slot, "chunk", snapshot=snapshot, offset=offset))

    def _collect(self, timeout_s: float) -> None:
        """Enter all answers that are there, or the first that comes in time."""
        refs = list(self._calls)
        done, _ = ray.wait(refs, num_returns=1, timeout=timeout_s)
        if done:
            done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in sorted(done, key=refs.index):
            call = self._calls.pop(ref, None)
            if call is not None:
                self._enter(call, ref)

    def _enter(self, call: _Call, ref: Any) -> None:
        try:
            value = ray.get(ref)
        except RayActorError as error:
            self._lose(call.slot, _first_line(error))
            return
        except RayTaskError as error:
            # The worker answers for the task's errors itself: what is raised here is a fault of ours.
            self._lose(call.slot, _first_line(error))
            return
        if call.slot not in self._slots:
            return
        match call.kind:
            case "hello":
                actor = self._slots[call.slot].actor
                self._call(actor.info.remote(), _Call(call.slot, "info", began=time.perf_counter()))
            case "info":
                round_trip_s = time.perf_counter() - call.began
                self._ready.append(SlotJoined(call.slot, value.host, value.chip, round_trip_s))
            case "turn":
                self._restarts = 0
                self._ready.append(TurnDone(call.slot, pickle.loads(value)))
            case "chunk":
                assert call.snapshot is not None
                self._ready.append(Chunk(call.slot, call.snapshot, value))
                if value:
                    self._read(call.slot, call.snapshot, call.offset + len(value))
                else:
                    self.discard(call.slot, call.snapshot)

    def _lose(self, slot_id: str, reason: str) -> None:
        """Report a slot's end once, forget what it still owed, and start another worker in its place."""
        slot = self._slots.pop(slot_id, None)
        if slot is None:
            return
        self._calls = {ref: call for ref, call in self._calls.items() if call.slot != slot_id}
        ray.kill(slot.actor, no_restart=True)
        self._ready.append(SlotLost(slot_id, Loss.PROCESS, reason))
        self._count_restart(reason)
        self._begin(slot.place)


def process_title(actor: str | None, signature: Signature) -> str:
    """What Ray's dashboard and `ps` call a worker's process: the actor, and the program that it is at."""
    return " ".join([f"ray::{actor}", *(f"{name}={value}" for name, value in signature)])


def _node_lives() -> bool:
    """Whether Ray knows of a node that lives; it takes it some seconds to notice an end."""
    try:
        return any(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
    except (RayError, RuntimeError, OSError):
        return False


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
