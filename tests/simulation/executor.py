"""Simulated workers of which some are lost, hang or fail, and whose messages come late, twice or damaged."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from runlog.layout import CheckpointName
from sweep.executors.base import Chunk, ExecutorEvent
from sweep.executors.simulated import Node, SimulatedExecutor, World
from sweep.executors.simulated_worker import Occupant, SimulatedWorker
from sweep.spec.population.stretches import place_after
from sweep.vocabulary.trial import RunId, Snapshot
from sweep.vocabulary.turn import (
    Change,
    Load,
    Loss,
    RunFailure,
    SlotJoined,
    SlotLost,
    Turn,
    TurnDone,
    TurnResult,
)
from tests.simulation.recipe import OUTAGE, Asked, Fault, Recipe
from tests.simulation.studies import EVERY, METRIC, advanced, content, value, value_of

HANG_S = 400.0
"""How long a hung turn takes: longer than any time-out of a recipe, and not for ever where there is none."""

IDLE_S = 5.0
"""How far the clock goes where nothing is to happen: by what the driver waits for would take long."""

GIGABYTES = (8, 64)


class Killed(BaseException):
    """The driver's process has died: nothing after it is done."""


class Worker(SimulatedWorker):
    """A worker whose checkpoints have bytes, and are read back when a run resumes."""

    def __init__(self, host: str, executor: FaultyExecutor) -> None:
        super().__init__(host, self.metrics_of, executor.is_due)
        self.recipe = executor.recipe
        self.best: dict[RunId, float] = {}
        self.written = 0
        self.states: dict[RunId, str] = {}
        self.before: dict[int, str] = {}
        self.contents = executor.contents

    def open(self, turn: Turn, now: float) -> None:
        self.before = {lane: self.states.get(each.load.run, "") for lane, each in self.lanes.items()}
        super().open(turn, now)

    def change(self, occupant: Occupant, change: Change) -> None:
        if change.source is not None:
            source = self.lanes[change.source]
            assert source.seen == occupant.seen, f"a member copies one that stands elsewhere: {change}"
            self.states[occupant.load.run] = self.before[change.source]
        super().change(occupant, change)

    def advance(self, occupant: Occupant) -> None:
        plan, run = occupant.load.plan, occupant.load.run
        stretch = plan.stretches[place_after(plan, occupant.seen)]
        super().advance(occupant)
        state = self.states.get(run, "")
        self.states[run] = advanced(state, stretch, plan.number, occupant.seen)

    def value_at(self, run: RunId, examples: int) -> float:
        """What a run reports here."""
        return value_of(self.states[run]) if self.recipe.sampler == "pbt" else value(run, examples)

    def metrics_of(self, run: RunId, done: float) -> dict[str, float]:
        """What a run reports after a fraction of its length."""
        return {METRIC: self.value_at(run, round(done * self.recipe.reports * EVERY))}

    def load(self, load: Load, now: float) -> Occupant:
        occupant = super().load(load, now)
        if load.checkpoint is not None:
            found = Path(load.checkpoint).read_bytes() if not self.recipe.in_memory else None
            if self.recipe.sampler == "pbt":
                name = CheckpointName.parse("/".join(Path(load.checkpoint).parts[-4:]))
                assert name is not None
                held = found or self.contents[f"{name.trial}/{name.examples}"]
                self.states[load.run] = held.decode().split()[-1]
            else:
                assert found in (None, content(load.run, occupant.seen)), f"{load} resumes from other bytes"
        else:
            self.states[load.run] = ""
        self.best.pop(load.run, None)
        return occupant

    def snapshot(self, occupant: Occupant, *, final: bool = False, value: float | None = None) -> Snapshot:
        run, seen = occupant.load.run, occupant.seen
        data = content(run, seen)
        if self.recipe.sampler == "pbt":
            data = f"{run.trial} {seen} {self.states.get(run, '')}".encode()
        digest = hashlib.sha256(data).hexdigest()
        self.written += 1
        path = f"{self.host}/{run.trial}-{run.replicate}-{seen}-{self.written}"
        self.contents[path] = self.contents[f"{run.trial}/{seen}"] = data
        return Snapshot(run.trial, run.replicate, seen, path, len(data), digest, final, value)

    def saved(self, occupant: Occupant, now: float) -> list[Snapshot]:
        """As a real worker: its end, its best report, and what falls due."""
        run, recipe = occupant.load.run, self.recipe
        found = self.value_at(run, occupant.seen)
        better = found < self.best.get(run, 2.0)
        self.best[run] = min(found, self.best.get(run, 2.0))
        if occupant.finished and recipe.keep_best:
            return [self.snapshot(occupant, final=True, value=found)]
        if occupant.finished or not occupant.is_own:
            return []
        if better and recipe.keep_best and recipe.keep_best_report:
            return [self.snapshot(occupant, value=found)]
        return super().saved(occupant, now)


class FaultyExecutor(SimulatedExecutor):
    """Carries out a recipe's faults at the waits that they name; `first` counts waits of earlier sessions.

    `to_blame` are trials that a fault may have ended: all others must end as if nothing had happened.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        first: int,
        interrupt: Callable[[], None],
        limit: Callable[[int], None],
        jump: Callable[[float], None],
        kill: Callable[[], NoReturn],
        to_blame: set[int],
        ask: Callable[[Asked], None] = lambda asked: None,
    ) -> None:
        self.recipe = recipe
        world = World(
            nodes=recipe.slots,
            run_s=self._run_s,
            value=lambda run, done: value(run, round(done * recipe.reports * EVERY)),
            metrics=(METRIC,),
            compile_s=0.5,
            restart_s=3.0,
            snapshot_every_s=recipe.every_s,
        )
        super().__init__(world)
        self.steps = first
        self.idle = 0
        self.interrupt = interrupt
        self._limit = limit
        self._jump = jump
        self._kill = kill
        self._to_blame = to_blame
        self.contents: dict[str, bytes] = {}
        """What snapshots hold, by their paths."""
        self._session = first
        self._pending = deque(
            sorted((each for each in recipe.faults if each.at > first), key=lambda each: each.at)
        )
        self._ask = ask
        self._asking = deque(
            sorted((each for each in recipe.requests if each.at > first), key=lambda each: each.at)
        )
        self._past: deque[ExecutorEvent] = deque(maxlen=8)
        self._spoilt: dict[str, str] = {}
        self._outages = [each for each in recipe.faults if each.kind == "outage"]
        self._corrupt = 0
        self._broke = Counter[RunId]()
        self._alone = Counter[int]()

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        self.steps += 1
        events: list[ExecutorEvent] = []
        while self._pending and self._pending[0].at <= self.steps:
            events += self._happen(self._pending.popleft())
        while self._asking and self._asking[0].at <= self.steps:
            self._ask(self._asking.popleft())
        if not events and not self._agenda and not self._at_once:
            self.idle += 1
            self.now += IDLE_S
            return []
        self.idle = 0
        events += super().wait(timeout_s) if not events else []
        self._past.extend(events)
        return events

    # What workers do

    def join(self) -> list[ExecutorEvent]:
        number = self._names
        name = f"slot-{self._session}-{number}"
        self._names += 1
        host = f"host-{number % self.recipe.hosts}"
        self.nodes[name] = Node(name, Worker(host, self), self.now)
        kind = number % self.recipe.kinds
        memory = GIGABYTES[kind] * 10**9
        return [SlotJoined(name, host, f"chip-{kind}", self.recipe.round_trip_s, memory)]

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        data = self.contents[snapshot.path]
        if self._corrupt:
            self._corrupt -= 1
            data = data[:-1]
        for delay, chunk in ((0.5, data[:4]), (0.9, data[4:]), (1.0, b"")):
            event = Chunk(slot, snapshot, chunk)
            self.at(delay * self.recipe.transfer_s, lambda event=event: self._arrive(event))  # type: ignore[misc]

    def replace(self, slot: str, reason: str) -> None:
        """As Ray's: what was on its way from there is given up, and the driver hears of it."""
        super().replace(slot, reason)
        self._at_once.append(SlotLost(slot, Loss.PROCESS, reason))

    def _arrive(self, event: Chunk) -> list[ExecutorEvent]:
        return [event] if event.slot in self.nodes else []

    def turn_s(self, node: Node, turn: Turn) -> float:
        chance = random.Random(f"{self.recipe.seed}-{node.name}-{turn.number}")
        return super().turn_s(node, turn) * (1 + self.recipe.jitter * chance.random())

    def result(self, node: Node, turn: Turn, seconds: float) -> TurnResult:
        spoilt = "error" if self._is_away else self._spoilt.pop(node.name, None)
        lanes = dict(node.worker.lanes)
        if spoilt in ("error", "memory") and turn.probe is None:
            if turn.width == 1:
                for each in lanes.values():
                    self._breaks(each.load.run)
            node.worker.lanes.clear()
            node.worker.signature = None
            return TurnResult(turn.number, error=f"a simulated {spoilt}", out_of_memory=spoilt == "memory")
        result = super().result(node, turn, seconds)
        if spoilt == "run" and result.reports:
            return self._without(node, result, result.reports[0].run)
        return result

    @property
    def _is_away(self) -> bool:
        """Whether what every turn needs is away: it is for some steps, whatever sessions end meanwhile."""
        return any(each.at <= self.steps <= each.at + each.pick % OUTAGE for each in self._outages)

    def _breaks(self, run: RunId) -> None:
        """A run fails by itself: its trial may fail once it was tried as often as the study says."""
        self._broke[run] += 1
        if self._broke[run] > self.recipe.retry:
            self._to_blame.add(run.trial)

    def _without(self, node: Node, result: TurnResult, run: RunId) -> TurnResult:
        """The same with one run that has failed by itself."""
        self._breaks(run)
        for lane, occupant in list(node.worker.lanes.items()):
            if occupant.load.run == run:
                del node.worker.lanes[lane]
        return replace(
            result,
            reports=tuple(each for each in result.reports if each.run != run),
            finished=tuple(each for each in result.finished if each != run),
            snapshots=tuple(each for each in result.snapshots if each.run != run),
            failures=(RunFailure(run, "a simulated failure"),),
        )

    def _run_s(self, run: RunId) -> float:
        return self.recipe.run_s

    def is_due(self, since_s: float) -> bool:
        return since_s >= self.recipe.every_s

    # What goes wrong

    def _happen(self, fault: Fault) -> list[ExecutorEvent]:
        nodes = sorted(self.nodes)
        name = nodes[fault.pick % len(nodes)] if nodes else None
        match fault.kind:
            case "kill":
                self._kill()
            case "interrupt":
                self.interrupt()
            case "limit":
                self._limit(1 + fault.pick % 3)
            case "abort":
                raise KeyboardInterrupt
            case "clock":
                self._jump((fault.pick - 50) * 1000.0)
            case "pause":
                self.now += fault.pick * 10.0
            case "corrupt":
                self._corrupt += 1
            case "double" if self._past:
                event = self._past[fault.pick % len(self._past)]
                return [] if isinstance(event, SlotJoined) and event.slot not in self.nodes else [event]
            case "worker" if name is not None:
                return [self._lose(name, Loss.PROCESS)]
            case "stale" if name is not None:
                return self._stale(name)
            case "node" if name is not None:
                host = self.nodes[name].worker.host
                return [self._lose(each, Loss.NODE) for each in nodes if self.nodes[each].worker.host == host]
            case "hang" if name is not None:
                self._hang(self.nodes[name])
            case "error" | "memory" | "run" if name is not None:
                self._spoilt[name] = fault.kind
            case _:
                pass
        return []

    def _lose(self, name: str, loss: Loss) -> SlotLost:
        node = self.nodes[name]
        if loss is Loss.PROCESS and len(node.worker.lanes) == 1:
            (occupant,) = node.worker.lanes.values()
            trial = occupant.load.run.trial
            self._alone[trial] += 1
            if self._alone[trial] > 3:
                self._to_blame.add(trial)
        self.leave(name)
        self.at(3.0, self.join)
        return SlotLost(name, loss, "a simulated loss")

    def _stale(self, name: str) -> list[ExecutorEvent]:
        """A worker is lost, and its last turn is heard of after that."""
        node = self.nodes[name]
        late: list[ExecutorEvent] = []
        if node.turns and node.until is not None:
            turn = node.turns[0]
            late = [TurnDone(name, node.worker.carry_out(turn, 1.0, self.now))]
        return [self._lose(name, Loss.PROCESS), *late]

    def _hang(self, node: Node) -> None:
        """The current turn takes very long; where no time-out ends it, it comes back."""
        if node.until is None:
            return
        turn = node.turns[0]
        fresh = Node(node.name, node.worker, node.joined, node.turns, node.compiled, node.until + HANG_S)
        self.nodes[node.name] = fresh  # what was on the agenda belongs to another node now
        self.at(HANG_S, lambda: self._end(fresh, turn, HANG_S))
