"""Collects what `doctor` judges: from all nodes at once, in a few round trips, each with a deadline.

Nothing is judged here: where a node did not answer, the error stands in the answer's place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from clusters import nodeside, paths
from clusters.ask import ask
from clusters.errors import HostError
from clusters.facts import probes
from clusters.facts.node import Facts, read_facts
from clusters.inventory import Inventory, Node
from clusters.remote import Conversation, Runner, on_all, runner, shell_path

HELLO_S = 10.0
PROBES_S = 25.0
PEER_S = 40.0
BURN_S = 60.0
PINNED_S = 90.0

CLOCK = "perl -MTime::HiRes=time -e 'printf \"%.3f\\n\", time' 2>/dev/null || date +%s.%N"


@dataclass(frozen=True)
class Clock:
    """How far a node's clock is from this machine's, in seconds, give or take `error_s`."""

    offset_s: float
    error_s: float


@dataclass(frozen=True)
class Observation:
    """What was observed of one node; None where it was not asked, an error where it did not answer."""

    node: Node
    way: str
    clock: Clock | HostError
    facts: Facts | HostError | None = None
    outputs: Mapping[str, probes.Output] = field(default_factory=dict)
    about: Mapping[str, Any] | HostError | None = None
    reached: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    burn: Mapping[str, Any] | HostError | None = None


@dataclass(frozen=True)
class Lab:
    """What was observed of all nodes; `alone` says that only this machine is examined, and no network.

    `ray` is Ray's record of its nodes, with the answers of tasks pinned to them; None while it is not up.
    """

    inventory: Inventory
    observations: Mapping[str, Observation]
    alone: bool = False
    ray: Mapping[str, Any] | HostError | None = None

    def abouts(self) -> dict[str, Mapping[str, Any]]:
        """What each node's own Python answered, of those that have one."""
        return {
            name: seen.about
            for name, seen in self.observations.items()
            if seen.about is not None and not isinstance(seen.about, HostError)
        }


def collect(inventory: Inventory, *, alone: bool = False, burn: bool = False) -> Lab:
    """Ask all nodes everything."""
    runners = {node.name: runner(inventory, node) for node in inventory.nodes}
    seen = {}
    clocks, lost = on_all(inventory.nodes, lambda node: _clock(runners[node.name]))
    for node in inventory.nodes:
        way = getattr(runners[node.name], "target", None)
        way = f"ssh {way}" if way else "this machine, without SSH"
        seen[node.name] = Observation(node, way, clocks.get(node.name) or lost[node.name])
    there = [node for node in inventory.nodes if node.name in clocks]
    text = probes.script(head=inventory.head.address, folder=shell_path(inventory.folder))
    said, failed = on_all(there, lambda node: runners[node.name].run(text, deadline_s=PROBES_S))
    for name, done in said.items():
        system, outputs = probes.read(done.out)
        seen[name] = replace(seen[name], facts=read_facts(system, outputs), outputs=outputs)
    for name, error in failed.items():
        seen[name] = replace(seen[name], facts=error)
    seen |= _peers(inventory, there, runners, seen)
    if burn:
        burns, failed = on_all(there, lambda node: ask(inventory, node, "doctor.burn", {}, deadline_s=BURN_S))
        for name, rates in burns.items():
            seen[name] = replace(seen[name], burn=rates)
        for name, error in failed.items():
            seen[name] = replace(seen[name], burn=error)
    lab = Lab(inventory, seen, alone)
    return replace(lab, ray=_ray(lab)) if _is_up(lab) else lab


def _is_up(lab: Lab) -> bool:
    head = lab.abouts().get(lab.inventory.head.name, {})
    return not lab.alone and bool(head.get("holder"))


def _ray(lab: Lab) -> Mapping[str, Any] | HostError:
    inventory = lab.inventory
    config = {
        "address": inventory.address,
        "ip": inventory.head.address,
        "environment": paths.environment(inventory),
        "doors": {
            name: [seen.node.address, inventory.ports.node_manager]
            for name, seen in lab.observations.items()
            if lab.abouts().get(name, {}).get("holder")
        },
    }
    try:
        return ask(inventory, inventory.head, "doctor.pinned", config, deadline_s=PINNED_S)
    except HostError as error:
        return error


def _clock(asked: Runner) -> Clock:
    before = time.time()
    done = asked.run(CLOCK, deadline_s=HELLO_S)
    after = time.time()
    word = done.out.strip().removesuffix(".N")
    try:
        there = float(word)
    except ValueError as error:
        saw = f"printed `{(done.out + done.err).strip()[:80]}` instead of a time"
        raise HostError(
            asked.node, "sh", saw, "remove whatever prints from the shell start-up files there"
        ) from error
    return Clock(there - (before + after) / 2, (after - before) / 2)


def _peers(
    inventory: Inventory, nodes: list[Node], runners: Mapping[str, Runner], seen: Mapping[str, Observation]
) -> dict[str, Observation]:
    """Each node's Python describes its node, listens, and then tries to reach all others."""
    talks: dict[str, Conversation] = {}
    try:
        for node in nodes:
            argument = json.dumps(paths.for_peer(inventory, node))
            script = nodeside.command(shell_path(inventory.python), "doctor.peer", argument)
            talks[node.name] = Conversation(runners[node.name], script)
        said, failed = on_all(nodes, lambda node: talks[node.name].answer(deadline_s=PEER_S))
        abouts = {name: json.loads(line) for name, line in said.items()}
        listening = {
            name: [port for port, state in about["ports"].items() if state in ("listening", "taken")]
            for name, about in abouts.items()
        }
        for name, error in failed.items():
            listening[name] = []
            abouts[name] = error
        for node in nodes:
            others = {
                other.name: [other.address, [int(port) for port in listening[other.name]]]
                for other in nodes
                if other.name != node.name and listening[other.name]
            }
            if node.name in said:
                talks[node.name].say(json.dumps(others))
        answered = [node for node in nodes if node.name in said]
        reached, _ = on_all(answered, lambda node: talks[node.name].answer(deadline_s=PEER_S))
    finally:
        for talk in talks.values():
            talk.hang_up()
        for talk in talks.values():
            talk.close()
    return {
        node.name: replace(
            seen[node.name],
            about=abouts[node.name],
            reached=json.loads(reached[node.name]) if node.name in reached else {},
        )
        for node in nodes
    }
