"""Where things of ours lie on every node; pure."""

from __future__ import annotations

from typing import Any

from clusters.inventory import Inventory, Node


def stamp(inventory: Inventory) -> str:
    """The file that holds the hash of the lock file that a node's environment was made from."""
    return f"{inventory.folder}/env/lock.sha256"


def temp_dir(inventory: Inventory) -> str:
    """Ray's own files; short, since a socket's path has at most 103 bytes, and not under /tmp."""
    return f"{inventory.folder}/r"


def ports(inventory: Inventory, node: Node) -> list[int]:
    """The ports that must be free on a node and reachable from the others; the head has one more."""
    chosen = inventory.ports
    own = [chosen.node_manager, chosen.object_manager, chosen.workers]
    return [chosen.gcs, *own] if node.is_head else own


def for_peer(inventory: Inventory, node: Node) -> dict[str, Any]:
    """What `nodeside/peer.py` is told."""
    return {
        "ip": node.address,
        "ports": ports(inventory, node),
        "temp_dir": temp_dir(inventory),
        "stamp": stamp(inventory),
    }
