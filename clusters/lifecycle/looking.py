"""What a node says of itself: who holds it, what its daemon last said, whether it is reserved."""

from __future__ import annotations

from typing import Any

from clusters import paths
from clusters.ask import ask
from clusters.inventory import Inventory, Node
from ray_contract.owner import RESERVATION


def look(inventory: Inventory, node: Node, script: str, *, deadline_s: float) -> dict[str, Any]:
    """Ask a node, with what the script of probes prints there. Raises HostError."""
    config = {
        "lock": paths.lock(inventory),
        "probes": script,
        "folder": paths.own(inventory),
        "reservation": RESERVATION,
    }
    return ask(inventory, node, "lifecycle.node_status", config, deadline_s=deadline_s)
