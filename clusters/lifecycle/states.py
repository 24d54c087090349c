"""What the keeper says of the nodes that it holds: values, and the file in which whoever asks finds them.

The keeper is the file's only writer; it is replaced whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from clusters.inventory import Inventory


class Phase(StrEnum):
    """Where a node stands; `waiting` for the head to answer."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    FAILED = "failed"


@dataclass(frozen=True)
class NodeState:
    """A node as last seen by who brings it up; `saw` and `cure` say why it is not up, `note` what was mended.

    `round` counts how often `up` was typed; `since_s` is the time since the epoch at which it came to this.
    """

    node: str
    phase: Phase
    round: int
    since_s: float
    saw: str = ""
    cure: str = ""
    note: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.node}: {self.saw}; {self.cure}"


@dataclass(frozen=True)
class Kept:
    """All that a keeper says: its process, the inventory's file and what is fixed while it is up."""

    pid: int
    inventory: str
    fixed: str
    round: int
    nodes: tuple[NodeState, ...]


def folder(inventory: Inventory) -> Path:
    """Where the keeper's files lie, on the machine where `up` was typed."""
    return Path.home() / ".sweep" / "clusters" / inventory.name


def keeper_lock(inventory: Inventory) -> Path:
    """What the keeper holds locked as long as it lives."""
    return folder(inventory) / "keeper.lock"


def keeper_log(inventory: Inventory) -> Path:
    """What the keeper says where something breaks that it did not expect."""
    return folder(inventory) / "keeper.log"


def fixed(inventory: Inventory) -> str:
    """What may not change while a cluster is up, since it holds for all nodes."""
    ports = inventory.ports.model_dump()
    values = {
        "head": inventory.head.address,
        "folder": inventory.folder,
        "python": inventory.python,
        "tls": inventory.tls,
        "ports": ports,
    }
    return json.dumps(values, sort_keys=True)


def write(inventory: Inventory, kept: Kept) -> None:
    """Replace the file by this."""
    path = _file(inventory)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(kept)))
    os.replace(new, path)


def read(inventory: Inventory) -> Kept | None:
    """What the keeper said last; None where none ever did. It may be gone since: see its lock."""
    try:
        value = json.loads(_file(inventory).read_text())
    except FileNotFoundError:
        return None
    nodes = tuple(NodeState(**{**node, "phase": Phase(node["phase"])}) for node in value["nodes"])
    return Kept(**{**value, "nodes": nodes})


def _file(inventory: Inventory) -> Path:
    return folder(inventory) / "keeper.json"
