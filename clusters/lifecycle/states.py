"""What the supervisor says of its nodes: values, and the file on disk that other commands read them from.

The supervisor is the file's only writer; it is replaced whole. Before it was called supervisor it was called
keeper: as long as one of that name runs, its files are found under their old names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from clusters.connection import is_held
from clusters.inventory import Inventory


class Phase(StrEnum):
    """Where a node stands; `waiting` for the head to answer."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    FAILED = "failed"


@dataclass(frozen=True)
class NodeProgress:
    """How far bringing up a node has come; `saw` and `fix` say why it is not up, `note` what was repaired.

    `round` counts how often `up` was typed; `since_s` is the time since the epoch at which it came to this.
    """

    node: str
    phase: Phase
    round: int
    since_s: float
    saw: str = ""
    fix: str = ""
    note: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.node}: {self.saw}; {self.fix}"


@dataclass(frozen=True)
class SupervisorState:
    """What a supervisor says: its process, the inventory's file, and what may not change while it runs."""

    pid: int
    inventory: str
    fixed: str
    round: int
    nodes: tuple[NodeProgress, ...]


def folder(inventory: Inventory) -> Path:
    """Where the supervisor's files lie, on the machine where `up` was typed."""
    return Path.home() / ".sweep" / "clusters" / inventory.name


def supervisor_lock(inventory: Inventory) -> Path:
    """The file that the supervisor keeps locked as long as it lives."""
    return _file(inventory, "lock")


def supervisor_log(inventory: Inventory) -> Path:
    """The supervisor's stdout and stderr: errors that it did not expect."""
    return _file(inventory, "log")


def supervisor_state(inventory: Inventory) -> Path:
    """The file that holds a SupervisorState."""
    return _file(inventory, "json")


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


def write(inventory: Inventory, kept: SupervisorState) -> None:
    """Replace the file by this."""
    path = supervisor_state(inventory)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(kept)))
    os.replace(new, path)


def read(inventory: Inventory) -> SupervisorState | None:
    """What the supervisor last said; None where none ever ran. It may have ended since: its lock says."""
    try:
        value = json.loads(supervisor_state(inventory).read_text())
    except FileNotFoundError:
        return None
    return SupervisorState(**{**value, "nodes": tuple(map(_progress, value["nodes"]))})


def _progress(node: Mapping[str, Any]) -> NodeProgress:
    values = {_NEW_NAMES.get(name, name): value for name, value in node.items()}
    return NodeProgress(**{**values, "phase": Phase(values["phase"])})


_NEW_NAMES = {"cure": "fix"}
"""Fields that a running supervisor of an earlier version writes under another name."""


def _file(inventory: Inventory, suffix: str) -> Path:
    name = "keeper" if is_held(folder(inventory) / "keeper.lock") else "supervisor"
    return folder(inventory) / f"{name}.{suffix}"
