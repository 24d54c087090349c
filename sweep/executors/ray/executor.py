"""Workers as Ray actors: on this machine, or on the nodes of a cluster."""

from __future__ import annotations

import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, assert_never

from runlog import collector
from sweep.executors.base import Chunk, ExecutorEvent, Said
from sweep.executors.ray.actor import start_actor, training_worker
from sweep.executors.ray.calls import Call, ChunkCall, Hello, PendingCalls, Ping, TurnCall
from sweep.executors.ray.deadline import call_with_timeout
from sweep.executors.ray.nodes import ClusterSnapshot, RayCluster, RayNode, first_line
from sweep.executors.ray.owners import LeftNodes, Owners
from sweep.executors.ray.restarts import DelayedStart, DelayedStarts, RestartPolicy, SuspectedLoss
from sweep.executors.ray.setup import ActorUnavailableError, RayError, RayTaskError, ray
from sweep.executors.ray.transfers import Transfers
from sweep.executors.sharing.messages import Share
from sweep.executors.sharing.seat import Seat
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Loss, SlotJoined, SlotLost, SlotReclaimed, Turn, TurnDone, WorkerSettings

LATE_S = 60.0
"""How long a worker may take to start before this is said."""

LEAVE_S = 1.0
"""How long workers have at the end to remove their files; what is left then goes with the next worker."""


@dataclass
class _Slot:
    """`turns` counts those given to its actor; `unanswered` are references to their answers, oldest first.

    It has `joined` once the scheduler knows it, and `leaves` where it is on its way back to other studies.
    """

    id: str
    node: RayNode
    place: int
    actor: Any
    turns: int = 0
    unanswered: deque[Any] = field(default_factory=deque)
    joined: bool = False
    leaves: bool = False
    begun: float = field(default_factory=time.monotonic)
    is_late: bool = False


class RayExecutor:
    """One actor for each slot of each of Ray's nodes; a lost one is replaced under a new slot name.

    A node that leaves takes its slots with it; one that comes, or comes back, brings its own. On a node
    where workers crash again and again before a turn is done, no more are started.

    With a `seat` it has only as many workers as its share of the slots lets it. Nodes that
    are their `owners`' have none.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        cluster: RayCluster,
        *,
        name: str = "sweep",
        make_worker: Callable[[WorkerSettings], Any] = training_worker,
        seat: Seat | None = None,
        owners: Owners | None = None,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self.slots = cluster.slots
        self._name = name
        self._make_worker = make_worker
        self._seat = seat
        self._left = LeftNodes(owners)
        self._idle: Collection[str] = ()
        self._parked: list[tuple[RayNode, int]] = []
        self._nodes: dict[str, RayNode] = {}
        self._slots: dict[str, _Slot] = {}
        self._calls = PendingCalls()
        self._transfers = Transfers(self._calls)
        self._suspected: dict[str, SuspectedLoss] = {}
        self._delayed = DelayedStarts()
        self._restarts = RestartPolicy()
        self._ready: deque[ExecutorEvent] = deque()
        self._begun: Counter[str] = Counter()
        self._to_cut_short = False
        self._collecting = ExitStack()

    def start(self) -> None:
        """Start or join Ray; workers start as soon as their nodes are seen."""
        self._collecting.enter_context(collector.seldom())  # nothing large is made here: workers train
        self._cluster.start()
        if self._seat is not None:
            self._seat.begin()
        self._poll()

    def submit(self, slot: str, turn: Turn) -> None:
        if slot not in self._slots:  # lost, and the scheduler is about to hear of it
            return
        to = self._slots[slot]
        incoming = [self._transfers.send(to.actor, path) for path in turn.checkpoints]
        to.unanswered.append(to.actor.turn.remote(pickle.dumps((to.turns, turn)), *incoming))
        to.turns += 1
        self._await_oldest(to)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._fetch(slot, snapshot, offset=0)

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        if slot in self._slots:
            self._slots[slot].actor.discard.remote(snapshot.path)

    def replace(self, slot: str, reason: str) -> None:
        if slot in self._slots:
            self._restarts.forget_all()
            self._restart(slot, Loss.PROCESS, reason)

    def cut_short(self) -> None:
        self._to_cut_short = True  # passed on by `wait`: Ray must not be called from a signal handler

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        if self._to_cut_short:
            self._to_cut_short = False
            for slot in self._slots.values():
                slot.actor.cut_short.remote()
        if not self._ready and self._calls:
            for call, reference in self._calls.collect(timeout_s):
                self._enter(call, reference)
        elif not self._ready:
            time.sleep(timeout_s)
        self._leave_to_owners(head_answers=self._poll())
        if self._seat is not None:
            self._keep_to_share(self._seat)
        self._unpark()
        events = list(self._ready)
        self._ready.clear()
        return events

    def close(self) -> None:
        self._collecting.close()
        if self._seat is not None:
            self._seat.end()
        slots, self._slots = self._slots, {}
        with suppress(RayError):
            left = [slot.actor.leave.remote() for slot in slots.values()]
            if left:
                ray.wait(left, num_returns=len(left), timeout=LEAVE_S)
        if self._seat is not None:  # while Ray is there: its broker is asked through it
            with suppress(RayError):
                for slot in slots.values():
                    ray.kill(slot.actor, no_restart=True)
            self._seat.leave()
        self._cluster.close()

    # Slots that are shared with other studies

    def want(self, slots: float, ends_in_s: float | None, idle: Collection[str]) -> None:
        self._idle = idle
        if self._seat is not None:
            spare = [slot for slot in self._slots.values() if not (slot.leaves or self._is_busy(slot))]
            self._seat.want(slots, ends_in_s, Counter(slot.node.name for slot in spare))

    def ask_for(self, share: Share) -> None:
        if self._seat is not None:
            self._seat.ask_for(share)

    def release(self, slot: str) -> None:
        if slot in self._slots:
            found = self._slots.pop(slot)
            self._suspected.pop(slot, None)
            self._calls.forget(slot)
            ray.kill(found.actor, no_restart=True)
            self._has_gone(found)
            self._park(found.node, found.place)

    def _keep_to_share(self, seat: Seat) -> None:
        """Start workers where the study may have more, and have some end where it may have fewer."""
        seat.see({node.name: node.slots for id, node in self._nodes.items() if id not in self._left.why})
        self._ready += [Said(text) for text in seat.notes()]
        self._say_who_is_late()
        for node in self._nodes.values():
            for slot in self._least_needed(node)[: seat.too_many(node.name)]:
                self._give_back(slot, seat.reason())

    def _say_who_is_late(self) -> None:
        """A study that knows no broker keeps slots that are free by the broker's count: say so, once each."""
        for slot in self._slots.values():
            if not slot.joined and not slot.is_late and time.monotonic() - slot.begun > LATE_S:
                slot.is_late = True
                self._ready.append(
                    Said(
                        f"worker {slot.id} has not started for {LATE_S:.0f} s. A program that does not share "
                        f"may have its slot, such as a study of an older sweep-mlx on {slot.node.name}"
                    )
                )

    def _least_needed(self, node: RayNode) -> list[_Slot]:
        """Those that have not joined first, then those that do nothing, then the latest."""
        here = [slot for slot in self._slots.values() if slot.node.id == node.id and not slot.leaves]
        return sorted(reversed(here), key=lambda slot: (slot.joined, self._is_busy(slot)))

    def _is_busy(self, slot: _Slot) -> bool:
        """Whether it holds a trial; between two turns none is unanswered."""
        return slot.joined and (bool(slot.unanswered) or slot.id not in self._idle)

    def _give_back(self, slot: _Slot, reason: str) -> None:
        if not slot.joined:  # the scheduler has not heard of it
            self.release(slot.id)
            return
        slot.leaves = True
        if self._seat is not None:
            self._seat.give(slot.node.name)
        share = Share() if self._seat is None else self._seat.share
        slot.actor.cut_short.remote()
        self._ready.append(SlotReclaimed(slot.id, reason, share.give_up_within_s))

    def _has_gone(self, slot: _Slot) -> None:
        if self._seat is not None:
            self._seat.gone(slot.node.name, given=slot.leaves)

    def _park(self, node: RayNode, place: int) -> None:
        """The place waits until the study may have a slot there again."""
        if node.id in self._nodes:
            self._parked.append((node, place))

    # Nodes that are their owners'

    def _leave_to_owners(self, *, head_answers: bool) -> None:
        """Have workers end where a node's owner comes first."""
        looks = self._left.look(self._nodes, head_answers=head_answers)
        self._ready += [Said(text) for text in looks]
        for slot in [slot for slot in self._slots.values() if not slot.leaves]:
            if (why := self._left.why.get(slot.node.id)) is not None:
                self._give_back(slot, why)

    def _unpark(self) -> None:
        """Start workers where places waited, and neither an owner nor another study has them any more."""
        for node, place in list(self._parked):
            is_free = node.id not in self._left.why
            if is_free and (self._seat is None or self._seat.has_room(node.name)):
                self._parked.remove((node, place))
                self._delayed.add(DelayedStart(time.monotonic(), node, place))

    # Nodes that come and go

    def _poll(self) -> bool:
        """Enter a new snapshot of Ray's nodes, if there is one: nodes come, leave, or have lost a worker.

        Whether there was one, so that Ray's head has just answered.
        """
        since = [*self._delayed.due(time.monotonic()), *(each.since for each in self._suspected.values())]
        snapshot = self._cluster.poll(max(since, default=None))
        if snapshot is None:
            return False
        for id in self._nodes.keys() - snapshot.nodes.keys():
            self._node_left(self._nodes.pop(id))
        self._settle_suspected(snapshot)
        for id, node in snapshot.nodes.items():  # in Ray's order: that of a set differs by process
            if id not in self._nodes:
                self._node_came(node, snapshot)
        self._begin_delayed(snapshot)
        if not self._nodes and self._cluster.restart():
            self._may_restart("", "Ray's own process on this machine has ended")
            self._poll()
        return True

    def _node_came(self, node: RayNode, snapshot: ClusterSnapshot) -> None:
        self._nodes[node.id] = node
        for place in range(node.slots):
            self._delayed.add(DelayedStart(snapshot.began, node, place))

    def _node_left(self, node: RayNode) -> None:
        self._parked = [each for each in self._parked if each[0].id != node.id]
        self._left.why.pop(node.id, None)
        for slot in [slot for slot in self._slots.values() if slot.node.id == node.id]:
            self._drop(slot.id, Loss.NODE, f"Ray's node {node.name} has ended or does not answer")

    def _settle_suspected(self, snapshot: ClusterSnapshot) -> None:
        for slot, suspected in list(self._suspected.items()):
            if snapshot.began >= suspected.since:
                self._restart(slot, Loss.PROCESS, suspected.reason, at=suspected.since)

    def _begin_delayed(self, snapshot: ClusterSnapshot) -> None:
        """Start the workers whose nodes are seen alive, until Ray's head does not answer for one of them."""
        due = deque(self._delayed.take(snapshot.began, self._nodes.keys()))
        while due:
            start = due.popleft()
            if start.node.id in self._left.why or (
                self._seat is not None and not self._seat.take(start.node.name)
            ):
                self._park(start.node, start.place)
            elif not self._begin(start.node, start.place):
                if self._seat is not None:
                    self._seat.gone(start.node.name)
                break
        for start in due:
            self._delayed.add(start)

    # Slots

    def _begin(self, node: RayNode, place: int) -> bool:
        """Start a worker in a place; it joins once it has answered twice, the second time for its speed.

        False where Ray's head has just gone: the start is delayed until a head is seen to answer again.
        """
        name = f"{node.name}-{place}"
        self._begun[name] += 1
        id = name if self._begun[name] == 1 else f"{name}.{self._begun[name]}"
        settings = replace(self._settings, slots=node.slots, host_bytes=node.memory_bytes or None)
        name = f"{self._name}/{node.host}/{id}"
        try:
            start = partial(start_actor, node, name, self._make_worker, settings)
            actor = call_with_timeout(start, late=_kill)
        except (RayError, TimeoutError) as error:
            if self._may_restart(node.id, first_line(error)):
                self._delayed.add(DelayedStart(time.monotonic(), node, place))
            return False
        self._slots[id] = _Slot(id, node, place, actor)
        self._calls.add(actor.info.remote(), Hello(id))
        return True

    def _drop(self, id: str, loss: Loss, reason: str) -> _Slot:
        """A slot is gone; nothing further is heard of it."""
        slot = self._slots.pop(id)
        self._suspected.pop(id, None)
        self._calls.forget(id)
        self._has_gone(slot)
        self._ready.append(SlotLost(id, loss, reason))
        return slot

    def _restart(self, id: str, loss: Loss, reason: str, *, at: float | None = None) -> None:
        """Start another worker in a slot's place once its node is seen alive at `at` or later, or now."""
        slot = self._drop(id, loss, reason)
        ray.kill(slot.actor, no_restart=True)
        if self._may_restart(slot.node.id, reason, had_turns=slot.turns > 0):
            self._delayed.add(DelayedStart(time.monotonic() if at is None else at, slot.node, slot.place))

    def _may_restart(self, node: str, reason: str, *, had_turns: bool = False) -> bool:
        return self._restarts.allows(node, reason, had_turns=had_turns, others=self._nodes.keys())

    # Calls and their answers

    def _await_oldest(self, slot: _Slot) -> None:
        """Of a slot's turns only the oldest is waited for: their answers may come in any order."""
        if slot.unanswered:
            self._calls.add(slot.unanswered[0], TurnCall(slot.id))

    def _fetch(self, slot: str, snapshot: Snapshot, offset: int) -> None:
        if slot in self._slots:
            self._transfers.fetch(slot, self._slots[slot].actor, snapshot, offset)

    def _enter(self, call: Call, reference: Any) -> None:
        if call.slot not in self._slots:
            return
        try:
            value = ray.get(reference)
        except ActorUnavailableError as error:
            self._connection_broke(call.slot, error)
        except RayTaskError as error:
            # The worker answers for the task's errors itself: what is raised here is a fault of ours.
            self._restart(call.slot, Loss.PROCESS, first_line(error))
        except RayError as error:
            self._suspected[call.slot] = SuspectedLoss(time.monotonic(), first_line(error))
        else:
            self._answered(call, value)

    def _connection_broke(self, slot: str, error: RayError) -> None:
        """Between machines the connection to a worker broke, which is no trial's fault."""
        notices_s = self._cluster.notices_s
        loss = Loss.NODE if notices_s else Loss.PROCESS
        broke = "it does not answer: its process, its machine or the connection to it is gone"
        reason = broke if notices_s else first_line(error)
        self._restart(slot, loss, reason, at=time.monotonic() + notices_s)

    def _answered(self, call: Call, value: Any) -> None:
        slot = self._slots[call.slot]
        match call:
            case Hello():
                self._calls.add(slot.actor.info.remote(), Ping(slot.id, time.perf_counter()))
            case Ping():
                round_trip_s = time.perf_counter() - call.began
                slot.joined = True
                self._ready.append(
                    SlotJoined(slot.id, value.host, value.chip, round_trip_s, value.memory_bytes)
                )
            case TurnCall():
                slot.unanswered.popleft()
                self._await_oldest(slot)
                self._restarts.turn_done(slot.node.id)
                self._ready.append(TurnDone(slot.id, pickle.loads(value)))
            case ChunkCall():
                self._ready.append(Chunk(slot.id, call.snapshot, value))
                if value:
                    self._fetch(slot.id, call.snapshot, call.offset + len(value))
                else:
                    self.discard(slot.id, call.snapshot)
            case _:
                assert_never(call)


def _kill(actor: Any) -> None:
    """Give back the slot of a worker that started after the driver stopped waiting for it."""
    with suppress(RayError):
        ray.kill(actor, no_restart=True)
