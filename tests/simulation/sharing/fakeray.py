"""A Ray that several drivers share: its nodes have slots, its actors train nothing, its time is made.

An actor waits until its node has a slot free, as Ray's do: no slot has two workers, whatever drivers think.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from types import SimpleNamespace
from typing import Any

from sweep.executors.ray.nodes import ClusterSnapshot, RayNode
from sweep.executors.ray.setup import RayActorError
from sweep.vocabulary.turn import Turn, TurnResult
from tests.simulation.executor import Worker
from tests.simulation.recipe import Recipe

START_S = 1.0
"""How long an actor takes to start once it has a slot."""

CHUNK = 8
"""Bytes of a checkpoint that travel at once."""


@dataclass(eq=False)
class Ref:
    """An answer to come: `value` from `at` on, unless its actor dies."""

    actor: Actor
    at: float = inf
    value: Any = None

    def is_ready(self, now: float) -> bool:
        return self.actor.dead or self.at <= now


class Method:
    """What is called as `actor.NAME.remote(...)`."""

    def __init__(self, call: Callable[..., Ref]) -> None:
        self.remote = call


@dataclass
class Machine:
    """A node that comes and goes; its generation is in Ray's id for it."""

    name: str
    slots: int
    generation: int = 0
    alive: bool = True
    back_at: float = inf

    @property
    def node(self) -> RayNode:
        return RayNode(f"{self.name}/{self.generation}", self.name, self.slots, 0.0, 0, self.name)


class Actor:
    """A worker of one study, on a machine."""

    def __init__(self, ray: FakeRay, study: str, node: RayNode, recipe: Recipe) -> None:
        self.ray = ray
        self.study = study
        self.node = node
        self.recipe = recipe
        self.dead = False
        self.ready_at = inf
        self.worker = Worker(node.host, self)  # type: ignore[arg-type]
        self.turns: deque[tuple[Turn, Ref]] = deque()
        self.until = inf
        self.is_cut_short = False
        self.infos: list[Ref] = []

    # What its worker asks of an executor

    @property
    def contents(self) -> dict[str, bytes]:
        return self.ray.contents.setdefault(self.study, {})

    def is_due(self, since_s: float) -> bool:
        return since_s >= self.recipe.every_s

    # Calls

    @property
    def info(self) -> Method:
        def call() -> Ref:
            ref = Ref(
                self,
                max(self.ready_at, self.ray.now),
                SimpleNamespace(host=self.node.host, chip="chip", memory_bytes=0),
            )
            self.infos.append(ref)
            return ref

        return Method(call)

    @property
    def turn(self) -> Method:
        def call(pickled: bytes, *incoming: Ref) -> Ref:
            ref, (_place, turn) = Ref(self), pickle.loads(pickled)
            self.turns.append((turn, ref))
            self.begin()
            return ref

        return Method(call)

    @property
    def read_chunk(self) -> Method:
        def call(path: str, offset: int) -> Ref:
            later = self.ray.now + self.recipe.transfer_s
            return Ref(self, later, self.contents[path][offset : offset + CHUNK])

        return Method(call)

    @property
    def write_chunk(self) -> Method:
        return Method(lambda name, chunk: Ref(self, self.ray.now, name))

    @property
    def discard(self) -> Method:
        return Method(lambda path: Ref(self, self.ray.now))

    @property
    def leave(self) -> Method:
        return Method(lambda: Ref(self, self.ray.now))

    @property
    def cut_short(self) -> Method:
        def call() -> Ref:
            self.is_cut_short = True
            if self.until < inf:
                self.until = min(self.until, self.ray.now)
            return Ref(self, self.ray.now)

        return Method(call)

    # Time

    def begin(self) -> None:
        """Begin the oldest turn, if none is begun."""
        if self.until == inf and self.turns and self.ready_at <= self.ray.now:
            turn = self.turns[0][0]
            is_last = not turn.advance and turn.probe is None and not turn.ends
            if not is_last and not self._is_cut(turn):
                self.worker.open(turn, self.ray.now)
            takes_s = 0.0 if self.is_cut_short else self.worker.train_s(turn, lambda run: self.recipe.run_s)
            self.until = self.ray.now + takes_s

    def advance(self) -> None:
        """Do what is due."""
        now = self.ray.now
        for ref in self.infos:
            ref.at = max(self.ready_at, 0.0)
        self.infos = [ref for ref in self.infos if ref.at > now]
        self.begin()
        while self.until <= now:
            turn, ref = self.turns.popleft()
            self.until = inf
            ref.at, ref.value = now, pickle.dumps(self._carried_out(turn))
            self.begin()

    def _is_cut(self, turn: Turn) -> bool:
        return self.is_cut_short and turn.advance and turn.probe is None

    def _carried_out(self, turn: Turn) -> TurnResult:
        if self._is_cut(turn):
            return TurnResult(turn.number)
        return self.worker.carry_out(turn, self.recipe.run_s, self.ray.now)


@dataclass
class FakeRay:
    """All machines and all actors. It stands for the module `ray` as well."""

    machines: dict[str, Machine]
    now: float = 0.0
    actors: list[Actor] = field(default_factory=list)
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict)
    before_call: Callable[[], None] = lambda: None

    def start(self, study: str, node: RayNode, recipe: Recipe) -> Actor:
        """A new actor; it waits for a slot."""
        self.before_call()
        actor = Actor(self, study, node, recipe)
        actor.dead = self.machines[node.name].node.id != node.id
        self.actors.append(actor)
        self.give_slots()
        return actor

    def give_slots(self) -> None:
        """Actors that wait have the slots that are free, the first to come first."""
        self.actors = [actor for actor in self.actors if not actor.dead]
        for machine in self.machines.values():
            here = [actor for actor in self.actors if actor.node.name == machine.name]
            free = machine.slots - sum(actor.ready_at < inf for actor in here)
            for actor in [actor for actor in here if actor.ready_at == inf][:free]:
                actor.ready_at = self.now + START_S

    def running(self, name: str) -> int:
        """How many slots of a machine have a worker."""
        return sum(actor.node.name == name and actor.ready_at < inf for actor in self.actors)

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        for machine in self.machines.values():
            if machine.back_at <= self.now:
                machine.alive, machine.back_at = True, inf
        for actor in self.actors:
            actor.advance()
        self.give_slots()

    def end_node(self, name: str, for_s: float) -> None:
        """A machine goes, with all that runs there, and comes back later."""
        machine = self.machines[name]
        for actor in self.actors:
            actor.dead = actor.dead or actor.node.name == name
        machine.alive, machine.back_at = False, self.now + for_s
        machine.generation += 1
        self.give_slots()

    def end_study(self, study: str) -> None:
        """A driver has died: Ray ends its actors."""
        for actor in self.actors:
            actor.dead = actor.dead or actor.study == study
        self.give_slots()

    # The module's functions

    def wait(self, refs: Sequence[Ref], *, num_returns: int, timeout: float) -> tuple[list[Ref], list[Ref]]:
        self.before_call()
        ready = [ref for ref in refs if ref.is_ready(self.now)][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]

    def get(self, ref: Ref) -> Any:
        if ref.at > self.now:
            raise RayActorError()
        return ref.value

    def kill(self, actor: Actor, *, no_restart: bool) -> None:
        self.before_call()
        actor.dead = True
        self.give_slots()

    # The module time

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None: ...


class Nodes:
    """The nodes that one study may use, as its driver sees them."""

    notices_s = 2.0

    def __init__(self, ray: FakeRay, names: Sequence[str]) -> None:
        self._ray = ray
        self._names = names
        self.slots = sum(ray.machines[name].slots for name in names)

    def start(self) -> None: ...

    def poll(self, since: float | None) -> ClusterSnapshot:
        living = [self._ray.machines[name] for name in self._names if self._ray.machines[name].alive]
        return ClusterSnapshot({each.node.id: each.node for each in living}, self._ray.now)

    def restart(self) -> bool:
        return False

    def close(self) -> None: ...
