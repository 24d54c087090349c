"""The Ray that a study runs on, as its executor sees it: nodes that live, and how it is had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sweep.executors.ray_setup import ray

SLOT_RESOURCE = "mlx_slot"
MEMORY_RESOURCE = "mem_gb"
NODE_LABEL = "sweep.node"


class RayNode(NamedTuple):
    """A node that lives, as Ray has it: `id` is of this life of it, `name` and `host` stay.

    `memory_bytes` is what its user leaves to us, 0 where that is unknown.
    """

    id: str
    name: str
    slots: int
    gpus: float
    memory_bytes: int = 0
    host: str = ""


@dataclass(frozen=True)
class Sight:
    """All nodes with slots that live, by id, as they were at some moment after `began`."""

    nodes: Mapping[str, RayNode]
    began: float


class Home(Protocol):
    """A Ray to run on; within `notices_s` it is noticed that a node has left."""

    slots: int
    notices_s: float

    def start(self) -> None:
        """Have it there, and be its driver. Raises SweepError."""

    def look(self, since: float | None) -> Sight | None:
        """A sight that was not given before, begun after `since` where that is asked for, if there is one."""

    def restart(self) -> bool:
        """Start anew where no node lives; False where that is not ours to do."""

    def close(self) -> None: ...


def living_nodes() -> dict[str, RayNode]:
    """Ray's nodes that live and have slots, by id. Raises what Ray raises where its head does not answer."""
    table: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [
        RayNode(
            entry["NodeID"],
            entry.get("Labels", {}).get(NODE_LABEL) or entry["NodeManagerHostname"],
            int(entry["Resources"].get(SLOT_RESOURCE, 0)),
            entry["Resources"].get("GPU", 0.0),
            int(entry["Resources"].get(MEMORY_RESOURCE, 0)) * 10**9,
            host=entry["NodeManagerHostname"],
        )
        for entry in table
        if entry["Alive"]
    ]
    return {node.id: node for node in nodes if node.slots}


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
