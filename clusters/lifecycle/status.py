"""The state of a cluster: what each node answers, what Ray's head knows, what the supervisor says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusters import paths
from clusters.ask import ask
from clusters.connection import is_held
from clusters.errors import HostError
from clusters.facts import probes
from clusters.facts.node import read_facts
from clusters.inventory import Inventory, Node
from clusters.lifecycle import daemons, joining, states
from clusters.lifecycle.looking import look
from clusters.lifecycle.states import NodeProgress, Phase
from clusters.remote import on_all, shell_path
from clusters.reserve import Reservation
from ray_contract import SLOT_RESOURCE

SEE_S = 25.0
LOOK_S = 40.0
PROBES = ("heat", "hardware", "machine")


@dataclass(frozen=True)
class NodeStatus:
    """One node. `state` is up, starting, down, failed or unreachable; `says` what is wrong.

    `busy` of its `slots` are taken by a study; `heat` is None where it cannot be read; `reserved` says for
    whom and how long, where it is.
    """

    node: str
    state: str
    slots: int
    busy: int = 0
    chip: str | None = None
    heat: str | None = None
    held_by: str | None = None
    says: str = ""
    reserved: str = ""


@dataclass(frozen=True)
class ClusterStatus:
    """All nodes, and how to reach the dashboard: its address, what to type, where its token is."""

    address: str
    nodes: tuple[NodeStatus, ...]
    dashboard: str
    tunnel: str
    token: str

    @property
    def is_up(self) -> bool:
        """Whether every node is up."""
        return all(node.state == "up" for node in self.nodes)


def status(inventory: Inventory) -> ClusterStatus:
    """Ask all nodes at once, and then the head for Ray's own record of them."""
    seen, lost = on_all(inventory.nodes, lambda node: _see(inventory, node))
    kept = states.read(inventory) if is_held(states.supervisor_lock(inventory)) else None
    held = {state.node: state for state in kept.nodes} if kept else {}
    in_ray: dict[str, Any] = {}
    if seen.get(inventory.head.name, {}).get("holder"):
        in_ray = _look(inventory)
    nodes = [
        _unreachable(node, lost[node.name])
        if node.name in lost
        else _node(node, seen[node.name], in_ray.get(node.name), _trouble(inventory, node, seen, held))
        for node in inventory.nodes
    ]
    head, port = inventory.head, inventory.ports.dashboard
    target = head.ssh or head.address
    config = f"-F {inventory.ssh_config} " if inventory.ssh_config else ""
    return ClusterStatus(
        inventory.address,
        tuple(nodes),
        f"http://127.0.0.1:{port}",
        f"ssh {config}-N -L {port}:127.0.0.1:{port} {target}",
        f"ssh {config}{target} cat {paths.token(inventory)}",
    )


def _see(inventory: Inventory, node: Node) -> dict[str, Any]:
    script = probes.script(head=inventory.head.address, folder=shell_path(inventory.folder), only=PROBES)
    return look(inventory, node, script, deadline_s=SEE_S)


def _look(inventory: Inventory) -> dict[str, Any]:
    """Ray's record of its nodes; empty where its head does not answer, as while it starts."""
    config = {"address": inventory.address, "environment": paths.environment(inventory)}
    try:
        return ask(inventory, inventory.head, "lifecycle.ray_status", config, deadline_s=LOOK_S)
    except HostError:
        return {}


class _Trouble(NamedTuple):
    """Why a node is not up, as the supervisor here or the node's own daemon says."""

    says: str
    has_failed: bool


def _trouble(
    inventory: Inventory, node: Node, seen: Mapping[str, Any], held: Mapping[str, NodeProgress]
) -> _Trouble:
    about, kept = seen[node.name], held.get(node.name)
    if about["order"] and about["holder"] is None:
        fix = f"run {joining.verb(inventory, 'up')}"
        return _Trouble(str(HostError(node.name, "its daemon", "has an order but is not running", fix)), True)
    if about["order"] and about["state"] and "why" in about["state"]:
        has_failed = about["state"]["phase"] == "ended"
        return _Trouble(str(daemons.trouble(inventory, node, about["state"])), has_failed)
    if kept is not None and kept.phase is Phase.FAILED:
        return _Trouble(str(kept), True)
    return _Trouble("", False)


def _node(
    node: Node, seen: Mapping[str, Any], in_ray: Mapping[str, Any] | None, trouble: _Trouble
) -> NodeStatus:
    facts = read_facts(*probes.read(seen["probes"]))
    holder = seen["holder"]
    busy = 0
    if trouble.has_failed and (holder is None or in_ray is None):
        state = "failed"
    elif holder is None:
        state = "down"
    elif in_ray is None:
        state = "starting"
    else:
        state = "up"
        busy = int(in_ray["resources"].get(SLOT_RESOURCE, 0) - in_ray["free"].get(SLOT_RESOURCE, 0))
    held_by = holder.get("by") if holder else None
    says = "" if state == "up" else trouble.says
    kept = Reservation.of(node.name, seen["reserved"])
    reserved = str(kept) if kept.by else ""
    return NodeStatus(node.name, state, node.slots, busy, facts.chip, facts.heat, held_by, says, reserved)


def _unreachable(node: Node, error: HostError) -> NodeStatus:
    return NodeStatus(node.name, "unreachable", node.slots, says=str(error))
