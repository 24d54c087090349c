"""How a driver joins a cluster that is up: where Ray's head answers, and what must be in the environment.

The driver runs on a node of the cluster: no other machine has the token, or a Ray to attach to.
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
class Connection:
    """What `ray.init` takes: `address` as "IP:6379", `environment` set before ray is imported."""

    address: str
    environment: Mapping[str, str]
    nodes: tuple[Node, ...]


def connection(inventory: Inventory) -> Connection:
    """How to join from this machine. Raises ClusterError, with the remedy, where `up` left nothing here."""
    inventory = with_addresses(inventory)
    node = here(inventory)
    if node is None:
        head = inventory.head
        raise ClusterError(
            f"{inventory.file}: this machine is not in it (has none of its addresses). Run the command "
            f"on {head.name}: ssh {head.ssh or head.address}"
        )
    environment = {name: os.path.expanduser(value) for name, value in paths.environment(inventory).items()}
    _require(inventory, node, environment)
    return Connection(inventory.address, environment, inventory.nodes)


def is_here(inventory: Inventory) -> bool:
    """Whether this machine is one of the inventory's nodes, by its address."""
    return here(inventory) is not None


def here(inventory: Inventory) -> Node | None:
    """The node of the inventory that this machine is."""
    nodes = with_addresses(inventory).nodes
    return next((node for node in nodes if is_own_address(node.address)), None)


def _require(inventory: Inventory, node: Node, environment: Mapping[str, str]) -> None:
    """What the agent leaves while Ray is up on this node."""
    up = f"run python -m sweep cluster up {inventory.file}"
    if not is_held(Path(os.path.expanduser(paths.lock(inventory)))):
        raise ClusterError(f"{node.name}: Ray is not running here; {up}")
    missing = [
        path
        for name, path in environment.items()
        if name.endswith(("_PATH", "_CERT", "_KEY")) and not os.access(path, os.R_OK)
    ]
    if missing:
        raise ClusterError(f"{node.name}: {missing[0]} cannot be read; {up}")


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock. The system releases it when that process ends, however it ends."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
