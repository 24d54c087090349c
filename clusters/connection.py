"""How a driver joins a cluster that is up: where Ray's head answers, and what must be in the environment.

The driver runs on a node of the cluster; elsewhere there is neither the token nor a Ray to attach to.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters import paths
from clusters.addresses import with_addresses
from clusters.errors import ClusterError
from clusters.inventory import Inventory, Node
from clusters.remote import is_own_address


@dataclass(frozen=True)
class Place:
    """A node as a driver sees it: Ray knows it by the label `sweep.node`, which holds its name."""

    name: str
    ip: str
    slots: int
    tags: tuple[str, ...]
    reserve_bytes: int
    is_head: bool


@dataclass(frozen=True)
class Connection:
    """What `ray.init` takes: `address` as "IP:6379", `environment` set before ray is imported."""

    address: str
    environment: Mapping[str, str]
    nodes: tuple[Place, ...]


def connection(inventory: Inventory) -> Connection:
    """How to join from this machine. Raises ClusterError, with the remedy, where `up` left nothing here."""
    inventory = with_addresses(inventory)
    node = here(inventory)
    if node is None:
        head = inventory.head
        raise ClusterError(
            f"{inventory.file}: this machine has none of the addresses in it, and a driver sits on a node of "
            f"the cluster; run the same command on {head.name}: ssh {head.ssh or head.address}"
        )
    environment = {name: os.path.expanduser(value) for name, value in paths.environment(inventory).items()}
    _require(inventory, node, environment)
    return Connection(inventory.address, environment, tuple(_place(node) for node in inventory.nodes))


def is_here(inventory: Inventory) -> bool:
    """Whether this machine is one of the inventory's nodes, by its address."""
    return here(inventory) is not None


def here(inventory: Inventory) -> Node | None:
    """The node of the inventory that this machine is."""
    nodes = with_addresses(inventory).nodes
    return next((node for node in nodes if is_own_address(node.address)), None)


def _require(inventory: Inventory, node: Node, environment: Mapping[str, str]) -> None:
    """What the agent leaves while Ray is up on this node."""
    up = f"type: python -m sweep cluster up {inventory.file}"
    if not is_held(Path(os.path.expanduser(paths.lock(inventory)))):
        raise ClusterError(f"{node.name}: Ray is not up here; {up}")
    missing = [
        path
        for name, path in environment.items()
        if name.endswith(("_PATH", "_CERT", "_KEY")) and not os.access(path, os.R_OK)
    ]
    if missing:
        raise ClusterError(f"{node.name}: {missing[0]} cannot be read; {up}")


def is_held(lock: Path) -> bool:
    """Whether somebody has the lock: it ends with its holder, so a killed agent is seen to be gone."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _place(node: Node) -> Place:
    return Place(node.name, node.address, node.slots, node.tags, node.reserve_bytes, node.is_head)
