"""A cluster that is up, as plain values: where its head answers and which of its nodes a study may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterNode:
    """A node of the inventory; Ray knows it by its label `sweep.node`, which holds the name."""

    name: str
    ip: str
    slots: int
    tags: tuple[str, ...] = ()
    reserve_bytes: int = 0


@dataclass(frozen=True)
class Cluster:
    """How a driver joins: `address` as "IP:port", `own_ip` of the node that the driver is on.

    `environment` must be set before Ray is imported; `file` is the inventory, for messages. `nodes` are those
    that the study may use, if they have so much memory; where it `takes_others`, also what the inventory got
    since.
    """

    file: str
    address: str
    own_ip: str
    environment: Mapping[str, str]
    nodes: tuple[ClusterNode, ...]
    min_memory_bytes: int = 0
    takes_others: bool = True

    @property
    def slots(self) -> int:
        return sum(node.slots for node in self.nodes)

    def unfit(self, memory_bytes: Mapping[str, int]) -> dict[str, str]:
        """Why nodes that are up may not be used, given the memory of each; 0 is an unknown one."""
        return {
            name: f"has {found / 1e9:.0f} GB" if found else "does not tell its memory"
            for name, found in memory_bytes.items()
            if found < self.min_memory_bytes
        }


def tagged(nodes: Iterable[ClusterNode], tags: Iterable[str]) -> tuple[ClusterNode, ...]:
    """The nodes that have all of the tags."""
    return tuple(node for node in nodes if set(tags) <= set(node.tags))
