"""Ray as its executor sees it: which nodes are alive, and how it is started or joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ray_contract import MEMORY_RESOURCE, NODE_LABEL, SLOT_RESOURCE
from sweep.executors.ray.setup import GcsClient, ray

ANSWER_S = 15.0
"""How long Ray's head may take to name its nodes."""


class RayNode(NamedTuple):
    """A node that is alive: `id` changes each time it starts, `name` and `host` stay.

    `memory_bytes` is what its user leaves to studies, 0 where that is unknown.
    """

    id: str
    name: str
    slots: int
    gpus: float
    memory_bytes: int = 0
    host: str = ""


@dataclass(frozen=True)
class ClusterSnapshot:
    """All nodes with slots that are alive, by id, as they were at some moment after `began`."""

    nodes: Mapping[str, RayNode]
    began: float


class RayCluster(Protocol):
    """A Ray to run on; a node that has left is noticed within `notices_s`."""

    slots: int
    notices_s: float

    def start(self) -> None:
        """Start or join it as its driver. Raises SweepError."""

    def poll(self, since: float | None) -> ClusterSnapshot | None:
        """A new snapshot, if there is one; only one begun after `since` where that is given."""

    def restart(self) -> bool:
        """Start it again where no node is alive; False where this study did not start it."""

    def close(self) -> None: ...


def head() -> GcsClient:
    """A client of Ray's head as it is now: another head that comes in its place is an error to this client.

    The client behind `ray.nodes` waits for the head that it knew, and ends this process within a minute, or
    at once where another has come.
    """
    return GcsClient(address=ray.get_runtime_context().gcs_address)


def living_nodes(head: GcsClient) -> dict[str, RayNode]:
    """Ray's nodes that are alive and have slots, by id. Raises RayError where the head does not answer."""
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
    """The first line of what an error says, or its kind."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
