"""Nodes that train nothing, on a clock of their own: the real scheduler at any size, failures included."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sweep.executors.base import Chunk, ExecutorEvent
from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot
from sweep.vocabulary.turn import Load, Loss, SlotJoined, SlotLost, Spent, Turn, TurnDone, TurnResult

GAIN = 0.8
"""w lanes are taken to be this power of w times as fast as one, as the scheduler assumes."""


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
class _Occupant:
    load: Load
    seen: int
    saved_at: float


@dataclass
class _Node:
    """One slot of one node; `until` is when its current turn ends."""

    name: str
    lanes: dict[int, _Occupant] = field(default_factory=dict)
    turns: deque[Turn] = field(default_factory=deque)
    signature: Signature | None = None
    width: int = 0
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
        self._world = world
        self._random = random.Random(world.seed)
        self._nodes: dict[str, _Node] = {}
        self._joined: dict[str, float] = {}
        self._agenda: list[tuple[float, int, Callable[[], list[ExecutorEvent]]]] = []
        self._entries = 0
        self._stored: dict[str, int] = {}
        self._at_once: list[ExecutorEvent] = []

    def clock(self) -> float:
        """The virtual time in seconds."""
        return self.now

    def start(self) -> None:
        for _ in range(self._world.nodes):
            self._at(self._world.start_s, self._join)

    def submit(self, slot: str, turn: Turn) -> None:
        node = self._nodes.get(slot)
        if node is not None:
            node.turns.append(turn)
            self._begin(node)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._stored[snapshot.path] = snapshot.examples
        self._at_once.append(Chunk(slot, snapshot, b""))

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        pass

    def replace(self, slot: str, reason: str) -> None:
        self._leave(slot)
        self._at(self._world.restart_s, self._join)

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        """All that happens at the next moment at which anything does."""
        if self._at_once:
            events, self._at_once = self._at_once, []
            return events
        if not self._agenda:
            self.now += timeout_s
            return []
        self.now = max(self.now, self._agenda[0][0])
        events = []
        while self._agenda and self._agenda[0][0] <= self.now:
            events += heapq.heappop(self._agenda)[2]()
        return events

    def close(self) -> None:
        for slot in list(self._nodes):
            self._leave(slot)

    def _at(self, after_s: float, act: Callable[[], list[ExecutorEvent]]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (self.now + after_s, self._entries, act))

    def _join(self) -> list[ExecutorEvent]:
        name = f"node-{len(self._joined)}"
        self._nodes[name] = _Node(name)
        self._joined[name] = self.now
        if self._world.mtbf_s is not None:
            self._at(self._random.expovariate(1 / self._world.mtbf_s), lambda: self._fail(name))
        return [SlotJoined(name, name, "simulated", round_trip_s=0.0)]

    def _fail(self, name: str) -> list[ExecutorEvent]:
        if name not in self._nodes:
            return []
        self.losses += 1
        self.replace(name, "")
        return [SlotLost(name, Loss.NODE, "a simulated failure")]

    def _leave(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is not None:
            self.present_s += self.now - self._joined[name]
            if node.until is not None:
                self.busy_s -= node.until - self.now  # it was counted to its end

    def _begin(self, node: _Node) -> None:
        if node.until is not None or not node.turns:
            return
        turn = node.turns[0]
        self._open(node, turn)
        seconds = max((self._advance_s(each) for each in node.lanes.values()), default=0.0)
        seconds *= turn.width ** (1 - GAIN)
        if turn.signature not in node.compiled:
            node.compiled.add(turn.signature)
            seconds += self._world.compile_s
        seconds = seconds if turn.advance else 0.0
        node.until = self.now + seconds
        self.busy_s += seconds
        self._at(seconds, lambda: self._end(node, turn, seconds))

    def _open(self, node: _Node, turn: Turn) -> None:
        if turn.signature != node.signature or (turn.width != node.width and not turn.moves):
            node.lanes.clear()
        if turn.moves:
            node.lanes = {new: node.lanes[old] for old, new in turn.moves if old in node.lanes}
        node.signature, node.width = turn.signature, turn.width
        for lane in turn.drops:
            node.lanes.pop(lane, None)
        for load in turn.loads:
            seen = self._stored.get(load.checkpoint, 0) if load.checkpoint else 0
            node.lanes[load.lane] = _Occupant(load, seen, self.now)

    def _advance_s(self, occupant: _Occupant) -> float:
        length = occupant.load.plan.length
        share = (_boundary(occupant) - occupant.seen) / length.examples
        return share * self._world.run_s(occupant.load.run)

    def _end(self, node: _Node, turn: Turn, seconds: float) -> list[ExecutorEvent]:
        if self._nodes.get(node.name) is not node:
            return []
        node.until = None
        node.turns.popleft()
        reports, finished, snapshots, spent = [], [], [], {}
        for lane, occupant in list(node.lanes.items()) if turn.advance else []:
            run, before = occupant.load.run, occupant.seen
            occupant.seen = _boundary(occupant)
            reports.append(self._report(node, lane, occupant, turn.width))
            spent[run] = Spent(train_s=seconds, examples=occupant.seen - before)
            if occupant.seen == occupant.load.plan.length.examples:
                finished.append(run)
                del node.lanes[lane]
            elif self._is_due(occupant):
                snapshots.append(_snapshot(occupant))
                occupant.saved_at = self.now
        self._begin(node)
        result = TurnResult(
            turn.number, tuple(reports), tuple(finished), (), tuple(snapshots), spent, turn_s=seconds
        )
        return [TurnDone(node.name, result)]

    def _is_due(self, occupant: _Occupant) -> bool:
        every_s = self._world.snapshot_every_s
        return self._world.mtbf_s is not None and self.now - occupant.saved_at >= every_s

    def _report(self, node: _Node, lane: int, occupant: _Occupant, width: int) -> Report:
        run, plan = occupant.load.run, occupant.load.plan
        value = self._world.value(run, occupant.seen / plan.length.examples)
        return Report(
            trial=run.trial, replicate=run.replicate, examples=occupant.seen, epoch=0.0, updates=0,
            metrics=dict.fromkeys(self._world.metrics, value), attempt=occupant.load.attempt, width=width,
            lane=lane, host=node.name, time=self.now,
        )  # fmt: skip


def _boundary(occupant: _Occupant) -> int:
    length = occupant.load.plan.length
    return min((occupant.seen // length.report_every + 1) * length.report_every, length.examples)


def _snapshot(occupant: _Occupant) -> Snapshot:
    run = occupant.load.run
    path = f"{run.trial}/{run.replicate}/{occupant.seen}"
    return Snapshot(run.trial, run.replicate, occupant.seen, path, bytes=0, sha256="")
