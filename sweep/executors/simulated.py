"""Nodes that train nothing, on a clock of their own: the real scheduler at any size, failures included."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.errors import SweepError
from sweep.executors.base import Chunk, ExecutorEvent
from sweep.executors.simulated_worker import SimulatedWorker
from sweep.vocabulary.trial import RunId, Signature, Snapshot
from sweep.vocabulary.turn import Loss, SlotJoined, SlotLost, Turn, TurnDone, TurnResult

HOPELESS = 1000
"""So many losses of each node with no turn done in between, and the simulation is given up."""


@dataclass(frozen=True)
class World:
    """What is assumed: how long trials take, how nodes come and go; times in seconds.

    `run_s` is how long a run trains alone, `value` its metric after a fraction of its length; `compile_s`
    is paid once a program and slot, `start_s` by each node before its first turn.
    """

    nodes: int
    run_s: Callable[[RunId], float]
    value: Callable[[RunId, float], float]
    metrics: tuple[str, ...]
    compile_s: float = 0.0
    start_s: float = 0.0
    mtbf_s: float | None = None
    restart_s: float = 60.0
    snapshot_every_s: float = 60.0
    seed: int = 0


@dataclass
class Node:
    """One slot of one node; `until` is when its current turn ends."""

    name: str
    worker: SimulatedWorker
    joined: float
    turns: deque[Turn] = field(default_factory=deque)
    compiled: set[Signature] = field(default_factory=set)
    until: float | None = None


class SimulatedExecutor:
    """Carries out turns in no time; `now` is the time that they would have taken."""

    def __init__(self, world: World) -> None:
        self.slots = world.nodes
        self.now = 0.0
        self.busy_s = 0.0
        self.present_s = 0.0
        self.losses = 0
        self.nodes: dict[str, Node] = {}
        self._world = world
        self._random = random.Random(world.seed)
        self._names = 0
        self._agenda: list[tuple[float, int, Callable[[], list[ExecutorEvent]]]] = []
        self._entries = 0
        self._at_once: list[ExecutorEvent] = []
        self._losses_in_a_row = 0

    def clock(self) -> float:
        """The virtual time in seconds."""
        return self.now

    def start(self) -> None:
        for _ in range(self._world.nodes):
            self.at(self._world.start_s, self.join)

    def submit(self, slot: str, turn: Turn) -> None:
        node = self.nodes.get(slot)
        if node is not None:
            node.turns.append(turn)
            self._begin(node)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._at_once.append(Chunk(slot, snapshot, b""))

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        pass

    def replace(self, slot: str, reason: str) -> None:
        self.leave(slot)
        self.at(self._world.restart_s, self.join)

    def cut_short(self) -> None: ...

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        """All that happens at the next moment at which anything does. Raises SweepError where nothing can."""
        if self._at_once:
            events, self._at_once = self._at_once, []
            return events
        if self._losses_in_a_row > HOPELESS * self._world.nodes:
            raise SweepError(
                f"this plan does not end: {self._losses_in_a_row} nodes were lost with no step done. "
                "Let nodes live longer (--node-mtbf), or let trials report more often"
            )
        if not self._agenda:
            self.now += timeout_s
            return []
        self.now = max(self.now, self._agenda[0][0])
        events = []
        while self._agenda and self._agenda[0][0] <= self.now:
            events += heapq.heappop(self._agenda)[2]()
        return events

    def close(self) -> None:
        for slot in list(self.nodes):
            self.leave(slot)

    def at(self, after_s: float, act: Callable[[], list[ExecutorEvent]]) -> None:
        """Have something happen later; what it gives are the events that are then reported."""
        self._entries += 1
        heapq.heappush(self._agenda, (self.now + after_s, self._entries, act))

    def join(self) -> list[ExecutorEvent]:
        """A node comes, under a name of its own."""
        name = f"node-{self._names}"
        self._names += 1
        worker = SimulatedWorker(name, self._metrics, self._is_due)
        self.nodes[name] = Node(name, worker, self.now)
        if self._world.mtbf_s is not None:
            self.at(self._random.expovariate(1 / self._world.mtbf_s), lambda: self._fail(name))
        return [SlotJoined(name, name, "simulated", round_trip_s=0.0)]

    def leave(self, name: str) -> None:
        """A node goes, with all that it held."""
        node = self.nodes.pop(name, None)
        if node is not None:
            self.present_s += self.now - node.joined
            if node.until is not None:
                self.busy_s -= node.until - self.now  # it was counted to its end

    def _fail(self, name: str) -> list[ExecutorEvent]:
        if name not in self.nodes:
            return []
        self.losses += 1
        self._losses_in_a_row += 1
        self.replace(name, "")
        return [SlotLost(name, Loss.NODE, "a simulated failure")]

    def _begin(self, node: Node) -> None:
        if node.until is not None or not node.turns:
            return
        turn = node.turns[0]
        node.worker.open(turn, self.now)
        seconds = self.turn_s(node, turn)
        node.until = self.now + seconds
        self.busy_s += seconds
        self.at(seconds, lambda: self._end(node, turn, seconds))

    def turn_s(self, node: Node, turn: Turn) -> float:
        """How long an open turn takes."""
        seconds = node.worker.train_s(turn, self._world.run_s)
        if turn.advance and turn.signature not in node.compiled:
            node.compiled.add(turn.signature)
            seconds += self._world.compile_s
        return seconds

    def result(self, node: Node, turn: Turn, seconds: float) -> TurnResult:
        """What comes of a turn that ends now."""
        return node.worker.carry_out(turn, seconds, self.now)

    def _end(self, node: Node, turn: Turn, seconds: float) -> list[ExecutorEvent]:
        if self.nodes.get(node.name) is not node:
            return []
        node.until = None
        node.turns.popleft()
        self._losses_in_a_row = 0
        result = self.result(node, turn, seconds)
        self._begin(node)
        return [TurnDone(node.name, result)]

    def _metrics(self, run: RunId, done: float) -> dict[str, float]:
        return dict.fromkeys(self._world.metrics, self._world.value(run, done))

    def _is_due(self, since_s: float) -> bool:
        return self._world.mtbf_s is not None and since_s >= self._world.snapshot_every_s
