"""The Ray that a study runs on, as its executor sees it: nodes that live, and how it is had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sweep.executors.ray.setup import GcsClient, ray

SLOT_RESOURCE = "mlx_slot"
MEMORY_RESOURCE = "mem_gb"
NODE_LABEL = "sweep.node"

ANSWER_S = 15.0
"""How long Ray's head may take to name its nodes."""


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


def head() -> GcsClient:
    """Ray's head, as it is now: another one that comes in its place is an error to this client.

    The client behind `ray.nodes` waits for the head that it knew, and ends this process within a minute, or
    at once where another has come.
    """
    return GcsClient(address=ray.get_runtime_context().gcs_address)


def living_nodes(head: GcsClient) -> dict[str, RayNode]:
    """Ray's nodes that live and have slots, by id. Raises RayError where the head does not answer."""
    nodes = [
        RayNode(
            id.hex(),
            entry.labels[NODE_LABEL] or entry.node_manager_hostname,
            int(entry.resources_total[SLOT_RESOURCE]),
            entry.resources_total["GPU"],
            int(entry.resources_total[MEMORY_RESOURCE]) * 10**9,
            host=entry.node_manager_hostname,
        )
        for id, entry in head.get_all_node_info(timeout=ANSWER_S).items()
        if entry.state == entry.ALIVE
    ]
    return {node.id: node for node in nodes if node.slots}


def first_line(error: BaseException) -> str:
    """What an error says first, or its kind."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
