"""`sweep warm`: every node compiles a study's programs and measures their lanes, before the study runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from sweep.api.cluster import joined
from sweep.api.remote import is_elsewhere
from sweep.driver.build import check_choices, describe_task, make_executor
from sweep.errors import SweepError
from sweep.executors.base import Chunk, Said
from sweep.executors.choosing import factory
from sweep.spec.given import Study, study_of
from sweep.spec.plans import sample_plans
from sweep.vocabulary.turn import Probe, SlotJoined, SlotLost, SlotReclaimed, Trainable, Turn, TurnDone

if TYPE_CHECKING:
    from sweep.executors.base import Executor

MOST_LANES = 1024
MOST_PROGRAMS = 16
"""So many programs are compiled; a study of more hardly meets each twice."""

ARRIVAL_S = 30.0
"""How long to wait for a further node after the last one came."""


@dataclass(frozen=True)
class Warmed:
    """One program on one node: how many lanes train fastest there, or why nothing was measured."""

    node: str
    chip: str
    program: dict[str, Any]
    seconds: float
    lanes: int | None
    examples_per_s: dict[int, float]
    error: str | None

    def __str__(self) -> str:
        names = ", ".join(f"{name}={value}" for name, value in self.program.items())
        found = f"failed: {self.error}" if self.lanes is None else f"{self.lanes} lanes train fastest"
        return f"{self.node} ({self.chip}): {names}: {found}; {self.seconds:.1f} s"


@dataclass(frozen=True)
class Warming:
    """What became of every program on every node, in the order in which they were done."""

    study: str
    done: tuple[Warmed, ...]
    left_out: int

    def as_json(self) -> dict[str, Any]:
        """What `warm --json` prints."""
        return {
            "study": self.study,
            "programs": [asdict(each) for each in self.done],
            "left_out": self.left_out,
        }

    @property
    def failed(self) -> bool:
        """Whether a program was not measured somewhere."""
        return any(each.lanes is None for each in self.done)


def warm(study: Study, *, say: Callable[[str], None] = lambda text: None) -> Warming:
    """Compile and measure on one worker a node; what it finds is kept on that node for the studies to come.

    Nothing is trained for longer than measuring takes, and no run directory is written. Raises SweepError.
    """
    spec = study_of(study)
    if spec.trainable is not Trainable.TASK:
        what = "a command" if spec.command is not None else "a function"
        raise SweepError(f"{spec.name}: trains by {what}, which compiles nothing before it runs")
    check_choices(spec, sources=False, telling=False)
    if is_elsewhere(spec):
        raise SweepError(
            f"{spec.name}: this machine is no node of {spec.cluster}. Type this on a node of it, over ssh"
        )
    cluster = joined(spec)
    factory(spec).prepare(cluster)
    description = describe_task(spec)
    plans = sample_plans(spec, description)
    most = MOST_LANES if spec.lanes == "auto" else spec.lanes
    probes = [Probe(plan, 1 if description.vmap_incompatibility else most, float("inf")) for plan in plans]
    executor = make_executor(spec, description, cluster, runs=Path("runs"))
    with closing(executor):
        executor.start()
        done = _Nodes(executor, probes[:MOST_PROGRAMS], say).measured()
    if not done:
        raise SweepError(f"{spec.name}: no worker started within {ARRIVAL_S:.0f} s")
    return Warming(spec.name, tuple(done), len(probes[MOST_PROGRAMS:]))


@dataclass
class _Node:
    """The workers of a host, of which the first measures, and what is still to do since `began`."""

    chip: str
    left: list[Probe]
    slots: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)


class _Nodes:
    """One worker a host measures program after program; the others are left alone."""

    def __init__(self, executor: Executor, probes: Sequence[Probe], say: Callable[[str], None]) -> None:
        self._executor = executor
        self._probes = probes
        self._say = say
        self._nodes: dict[str, _Node] = {}
        self._last = time.monotonic()
        self._done: list[Warmed] = []

    def measured(self) -> list[Warmed]:
        """Go on until every node that came has done all, and no worker is awaited."""
        while self._is_awaited() or any(node.left and node.slots for node in self._nodes.values()):
            for event in self._executor.wait(1.0):
                match event:
                    case SlotJoined():
                        self._came(event)
                    case TurnDone():
                        self._turned(event.slot, event.result.rates or {}, event.result.error)
                    case SlotLost():
                        self._lost(event)
                    case Chunk() | SlotReclaimed() | Said():
                        raise AssertionError("nothing is gathered or shared")
                    case _:
                        assert_never(event)
        for host, node in self._nodes.items():
            while node.left:
                self._enter(host, node, {}, f"no worker came back within {ARRIVAL_S:.0f} s")
        return self._done

    def _is_awaited(self) -> bool:
        """Whether workers are still expected: those that a node was to have, or had."""
        joined = sum(len(node.slots) for node in self._nodes.values())
        return joined < self._executor.slots and time.monotonic() - self._last < ARRIVAL_S

    def _came(self, event: SlotJoined) -> None:
        self._last = time.monotonic()
        node = self._nodes.setdefault(event.host, _Node(event.chip, list(self._probes)))
        node.slots.append(event.slot)
        if len(node.slots) == 1:
            self._submit(node)

    def _lost(self, event: SlotLost) -> None:
        self._last = time.monotonic()
        for host, node in self._nodes.items():
            if event.slot not in node.slots:
                continue
            measured = node.slots[0] == event.slot
            node.slots.remove(event.slot)
            if measured and node.left:
                self._enter(host, node, {}, event.reason)
                self._submit(node)

    def _turned(self, slot: str, rates: Mapping[int, float], error: str | None) -> None:
        for host, node in self._nodes.items():
            if slot in node.slots:
                self._enter(host, node, rates, error)
                self._submit(node)

    def _enter(self, host: str, node: _Node, rates: Mapping[int, float], error: str | None) -> None:
        """The first of what was to do is done, or will not be."""
        program = dict(node.left.pop(0).plan.signature)
        best = max(rates, key=lambda width: rates[width]) if rates else None
        reason = None if rates else (error or "nothing was measured").strip().splitlines()[0]
        seconds = time.monotonic() - node.began
        self._done.append(Warmed(host, node.chip, program, seconds, best, dict(rates), reason))
        self._say(str(self._done[-1]))

    def _submit(self, node: _Node) -> None:
        if not node.slots or not node.left:
            return
        node.began = time.monotonic()
        number, probe = len(self._probes) - len(node.left), node.left[0]
        turn = Turn(number, probe.plan.signature, width=1, advance=False, probe=probe)
        self._executor.submit(node.slots[0], turn)
