"""How Ray is started on a node: arguments of `ray start`, from the inventory and what the node is. Pure."""

from __future__ import annotations

import json
import re

from clusters import paths
from clusters.facts.node import Facts
from clusters.inventory import WORKER_PORTS, Inventory, Node
from ray_contract import MEMORY_RESOURCE, NODE_LABEL, OBJECT_STORE_BYTES, SLOT_RESOURCE

GIGABYTE = 10**9
OWN_PORTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
"""Ports that Ray would choose at random or share with another Ray there: the last of the workers'."""

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_TROUBLE = re.compile(r"error|exception|failed|unable", re.IGNORECASE)


def arguments(inventory: Inventory, node: Node, facts: Facts) -> list[str]:
    """What follows `ray start`; a path from `~/` on is still to be expanded."""
    chosen = inventory.ports
    own_ports = _own_ports(inventory)
    common = [
        "--block",
        "--temp-dir",  # on every node: another would take the head's, which lies in another user's home
        paths.temp_dir(inventory),
        "--disable-usage-stats",
        f"--node-ip-address={node.address}",
        f"--node-manager-port={chosen.node_manager}",
        f"--object-manager-port={chosen.object_manager}",
        f"--min-worker-port={chosen.workers}",
        f"--max-worker-port={min(own_ports.values()) - 1}",
        *(f"--{name}-port={port}" for name, port in own_ports.items()),
        f"--num-cpus={max(facts.fast_cores or 1, node.slots)}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--resources={json.dumps(resources(node, facts))}",
        "--labels=" + ",".join(f"{key}={value}" for key, value in labels(node, facts).items()),
        "--include-log-monitor=False",  # a process a node, to carry output that is not read here
    ]
    if facts.system == "Darwin":  # Ray asks for it by a command that may take too long, and then says none
        common.append("--num-gpus=1")
    if not node.is_head:
        return [f"--address={inventory.address}", *common]
    return [
        "--head",
        f"--port={chosen.gcs}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={chosen.dashboard}",
        "--no-monitor",  # a process that starts and ends nodes of a cloud: there is none
        *common,
    ]


def ports_of(inventory: Inventory, node: Node) -> list[int]:
    """All ports that Ray opens on a node's address, workers' but the first left out; the head's own first."""
    return [*paths.ports(inventory, node), *_own_ports(inventory).values()]


def labels(node: Node, facts: Facts) -> dict[str, str]:
    """Labels that pin an actor to a node, or to a kind of node."""
    system = {"Darwin": "macos"}.get(facts.system, facts.system.lower())
    return {
        NODE_LABEL: node.name,
        "sweep.chip": _label((facts.chip or "unknown").removeprefix("Apple ")),
        "sweep.os": _label(f"{system}-{facts.major}" if facts.major else system),
    }


def resources(node: Node, facts: Facts) -> dict[str, int]:
    """Slots, and the memory that is left to them: a number, since Ray's selectors compare none."""
    memory_bytes = max(0, (facts.memory_bytes or 0) - node.reserve_bytes)
    return {SLOT_RESOURCE: node.slots, MEMORY_RESOURCE: memory_bytes // GIGABYTE}


def reason(log: str) -> str:
    """The most telling line that `ray start` printed: the last that names an error, or the last."""
    lines = [line.strip() for line in _COLOUR.sub("", log).splitlines() if line.strip()] or ["no output"]
    return next((line for line in reversed(lines) if _TROUBLE.search(line)), lines[-1])[:200]


def _own_ports(inventory: Inventory) -> dict[str, int]:
    last = inventory.ports.workers + WORKER_PORTS
    return {name: last - len(OWN_PORTS) + index for index, name in enumerate(OWN_PORTS)}


def _label(text: str) -> str:
    """As Ray takes it: at most 63 letters, digits, `-`, `_`, `.`, a letter or digit at both ends."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text)[:63].strip("-_.") or "unknown"
