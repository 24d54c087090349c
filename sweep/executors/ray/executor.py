"""Slots as Ray actors: on this machine, or on the nodes of a cluster."""

from __future__ import annotations

import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from sweep.errors import CheckpointError, SweepError
from sweep.executors.base import Chunk, ExecutorEvent
from sweep.executors.ray.actor import start_actor, training_worker
from sweep.executors.ray.deadline import in_time
from sweep.executors.ray.nodes import Home, RayNode, Sight, first_line
from sweep.executors.ray.setup import ActorUnavailableError, RayError, RayTaskError, ray
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Loss, SlotJoined, SlotLost, Turn, TurnDone, WorkerSettings
from sweep.worker.spool import CHUNK_BYTES

MAX_STARTS_IN_A_ROW = 5
"""So many workers of a node may end before they were given a turn: what is wrong there stays wrong."""

MAX_RESTARTS_IN_A_ROW = 20
"""So many may end before a turn was done. More than a trial may lose alone, and before that in company: a
trial that ends its worker must fail, and not the study."""

LEAVE_S = 1.0
"""How long workers have at the end to remove their files; what is left then goes with the next worker."""


@dataclass(frozen=True)
class _Call:
    """An answer that is awaited: for a joining slot, a turn, or a chunk."""

    slot: str
    kind: str
    began: float = 0.0
    turn: Turn | None = None
    snapshot: Snapshot | None = None
    offset: int = 0


@dataclass
class _Slot:
    """`turns` counts those given to its actor; `out` are the ones that are not answered, oldest first."""

    id: str
    node: RayNode
    place: int
    actor: Any
    turns: int = 0
    out: deque[tuple[Any, _Call]] = field(default_factory=deque)


class _Doubt(NamedTuple):
    """An actor has ended, at `since`: alone, or with its node?"""

    since: float
    reason: str


class RayExecutor:
    """An actor a slot of each of Ray's nodes; a lost one is replaced by another under a new slot name.

    A node that leaves takes its slots with it; one that comes, or comes back, brings its own. On a node
    where workers end again and again before a turn is done, no more are started.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        home: Home,
        *,
        name: str = "sweep",
        make_worker: Callable[[WorkerSettings], Any] = training_worker,
    ) -> None:
        self._settings = settings
        self._home = home
        self.slots = home.slots
        self._name = name
        self._make_worker = make_worker
        self._nodes: dict[str, RayNode] = {}
        self._slots: dict[str, _Slot] = {}
        self._calls: dict[Any, _Call] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._put_off: list[tuple[float, RayNode, int]] = []
        self._ready: deque[ExecutorEvent] = deque()
        self._starts: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._sent = 0

    def start(self) -> None:
        """Have Ray, and one actor a slot as soon as its nodes are seen."""
        self._home.start()
        self._look()

    def submit(self, slot: str, turn: Turn) -> None:
        if slot not in self._slots:  # lost, and the scheduler is about to hear of it
            return
        to = self._slots[slot]
        incoming = [self._send(to.actor, path) for path in turn.checkpoints]
        answer = to.actor.turn.remote(to.turns, pickle.dumps(turn), *incoming)
        to.turns += 1
        to.out.append((answer, _Call(slot, "turn", turn=turn)))
        self._await_oldest(to)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._read(slot, snapshot, offset=0)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        if slot in self._slots:
            self._slots[slot].actor.discard.remote(snapshot.path)

    def replace(self, slot: str, reason: str) -> None:
        if slot in self._slots:
            self._forget_restarts(self._starts.keys() | self._restarts.keys())
            self._restart(slot, Loss.PROCESS, reason)

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        if not self._ready and self._calls:
            self._collect(timeout_s)
        elif not self._ready:
            time.sleep(timeout_s)
        self._look()
        events = list(self._ready)
        self._ready.clear()
        return events

    def close(self) -> None:
        slots, self._slots = self._slots, {}
        with suppress(RayError):
            left = [slot.actor.leave.remote() for slot in slots.values()]
            if left:
                ray.wait(left, num_returns=len(left), timeout=LEAVE_S)
        self._home.close()

    # Nodes that come and go

    def _look(self) -> None:
        """Take in what there is to be seen of Ray's nodes; of an actor that ended, whether its node did."""
        now = time.monotonic()
        due = [at for at, *_ in self._put_off if at <= now]
        since = max([*due, *(doubt.since for doubt in self._doubts.values())], default=None)
        sight = self._home.look(since)
        if sight is None:
            return
        for id in self._nodes.keys() - sight.nodes.keys():
            self._node_left(self._nodes.pop(id))
        self._settle_doubts(sight)
        for id in sight.nodes.keys() - self._nodes.keys():
            self._node_came(sight.nodes[id], sight)
        self._begin_put_off(sight)
        if not self._nodes and self._home.restart():
            self._count_restart("", "Ray's own process on this machine has ended")
            self._look()

    def _node_came(self, node: RayNode, sight: Sight) -> None:
        self._nodes[node.id] = node
        self._put_off += [(sight.began, node, place) for place in range(node.slots)]

    def _node_left(self, node: RayNode) -> None:
        for slot in [slot for slot in self._slots.values() if slot.node.id == node.id]:
            self._drop(slot.id, Loss.NODE, f"Ray's node {node.name} has ended or does not answer")

    def _settle_doubts(self, sight: Sight) -> None:
        for slot, doubt in list(self._doubts.items()):
            if sight.began >= doubt.since:
                self._restart(slot, Loss.PROCESS, doubt.reason, at=doubt.since)

    def _begin_put_off(self, sight: Sight) -> None:
        """Start the workers whose nodes are seen to live, until Ray's head is not there for one of them."""
        put_off = [each for each in self._put_off if each[1].id in self._nodes]
        due = deque(each for each in put_off if each[0] <= sight.began)
        self._put_off = [each for each in put_off if each[0] > sight.began]
        while due:
            _, node, place = due.popleft()
            if not self._begin(node, place):
                break
        self._put_off += due

    # Slots

    def _begin(self, node: RayNode, place: int) -> bool:
        """Start a worker in a place; it joins once it has answered twice, the second time for its speed.

        False where Ray's head has just gone: it is put off until a head is seen to answer again.
        """
        name = f"{node.name}-{place}"
        self._begun[name] += 1
        id = name if self._begun[name] == 1 else f"{name}.{self._begun[name]}"
        settings = replace(self._settings, slots=node.slots, host_bytes=node.memory_bytes or None)
        name = f"{self._name}/{node.host}/{id}"
        try:
            actor = in_time(partial(start_actor, node, name, self._make_worker, settings), late=_end)
        except (RayError, TimeoutError) as error:
            if self._count_restart(node.id, first_line(error)):
                self._put_off.append((time.monotonic(), node, place))
            return False
        self._slots[id] = _Slot(id, node, place, actor)
        self._calls[actor.info.remote()] = _Call(id, "hello")
        return True

    def _drop(self, id: str, loss: Loss, reason: str) -> _Slot:
        """A slot is gone; nothing further is heard of it."""
        slot = self._slots.pop(id)
        self._doubts.pop(id, None)
        self._calls = {ref: call for ref, call in self._calls.items() if call.slot != id}
        self._ready.append(SlotLost(id, loss, reason))
        return slot

    def _restart(self, id: str, loss: Loss, reason: str, *, at: float | None = None) -> None:
        """Have another worker in a slot's place once its node is seen to live at that time, or now."""
        slot = self._drop(id, loss, reason)
        ray.kill(slot.actor, no_restart=True)
        if self._count_restart(slot.node.id, reason, had_turns=slot.turns > 0):
            self._put_off.append((time.monotonic() if at is None else at, slot.node, slot.place))

    def _count_restart(self, node: str, reason: str, *, had_turns: bool = False) -> bool:
        """Whether to try once more. Raises SweepError where there is no other node to go on with."""
        counted = self._restarts if had_turns else self._starts
        most = MAX_RESTARTS_IN_A_ROW if had_turns else MAX_STARTS_IN_A_ROW
        counted[node] += 1
        times = counted[node]
        if times <= most:
            return True
        if any(counted[other] <= most for other in self._nodes):
            return False
        raise SweepError(
            f"workers ended {times} times in a row before a turn was done; the last: {reason}; "
            "what was recorded is safe, the same command goes on"
        )

    def _forget_restarts(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._starts.pop(node, None)
            self._restarts.pop(node, None)

    # Calls and their answers

    def _await_oldest(self, slot: _Slot) -> None:
        """Of a slot's turns only the oldest is waited for: their answers may come in any order."""
        if slot.out:
            answer, call = slot.out[0]
            self._calls[answer] = call

    def _read(self, slot: str, snapshot: Snapshot, offset: int) -> None:
        if slot in self._slots:
            ref = self._slots[slot].actor.read_chunk.remote(snapshot.path, offset)
            self._calls[ref] = _Call(slot, "chunk", snapshot=snapshot, offset=offset)

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
        if call.slot not in self._slots:
            return
        try:
            value = ray.get(ref)
        except ActorUnavailableError as error:  # between machines the way to it broke, by no trial's fault
            notices_s = self._home.notices_s
            loss = Loss.NODE if notices_s else Loss.PROCESS
            way = "it does not answer: it or its machine is gone, or the way there broke"
            reason = way if notices_s else first_line(error)
            self._restart(call.slot, loss, reason, at=time.monotonic() + notices_s)
            return
        except RayTaskError as error:
            # The worker answers for the task's errors itself: what is raised here is a fault of ours.
            self._restart(call.slot, Loss.PROCESS, first_line(error))
            return
        except RayError as error:
            self._doubts[call.slot] = _Doubt(time.monotonic(), first_line(error))
            return
        match call.kind:
            case "hello":
                actor = self._slots[call.slot].actor
                self._calls[actor.info.remote()] = _Call(call.slot, "info", began=time.perf_counter())
            case "info":
                round_trip_s = time.perf_counter() - call.began
                self._ready.append(
                    SlotJoined(call.slot, value.host, value.chip, round_trip_s, value.memory_bytes)
                )
            case "turn":
                slot = self._slots[call.slot]
                slot.out.popleft()
                self._await_oldest(slot)
                self._forget_restarts({slot.node.id, ""})
                self._ready.append(TurnDone(call.slot, pickle.loads(value)))
            case "chunk":
                assert call.snapshot is not None
                self._ready.append(Chunk(call.slot, call.snapshot, value))
                if value:
                    self._read(call.slot, call.snapshot, call.offset + len(value))
                else:
                    self.discard(call.slot, call.snapshot)

    def _send(self, actor: Any, path: str) -> Any:
        """Bring a checkpoint to the worker's host in chunks; a reference to its path there.

        It gets a name of its own: checkpoints of several trials have one name, each in its trial's folder.
        Raises CheckpointError where it cannot be read.
        """
        self._sent += 1
        name = f"{self._sent}-{os.path.basename(path)}"
        try:
            with open(path, "rb") as file:
                arrived = actor.write_chunk.remote(name, file.read(CHUNK_BYTES))
                while chunk := file.read(CHUNK_BYTES):
                    arrived = actor.write_chunk.remote(name, chunk)
        except OSError as error:
            raise CheckpointError(
                f"{path}: the checkpoint that a trial goes on from must be there, found: {error.strerror}; "
                "put it back if you can, and run the same command again: it goes on from what is there"
            ) from error
        return arrived


def _end(actor: Any) -> None:
    """Give back the slot of a worker that was started when nobody waited for it any more."""
    with suppress(RayError):
        ray.kill(actor, no_restart=True)
