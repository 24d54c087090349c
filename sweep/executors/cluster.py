"""A cluster that is up, as plain values: where its head answers and which of its nodes a study may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ray_contract.owner import OwnerRules


@dataclass(frozen=True)
class ClusterNode:
    """A node of the inventory; Ray knows it by its label `sweep.node`, which holds the name.

    `quiet` are stretches of its day, in minutes, and `idle_s` how long its owner must have left it alone.
    """

    name: str
    ip: str
    slots: int
    tags: tuple[str, ...] = ()
    reserve_bytes: int = 0
    quiet: tuple[tuple[int, int], ...] = ()
    idle_s: float | None = None


@dataclass(frozen=True)
class Cluster:
    """How a driver joins: `address` as "IP:port", `own_ip` of the node that the driver is on.

    `environment` must be set before Ray is imported; `file` is the inventory, for messages. `nodes` are those
    that the study may use, if they have so much memory; where it `takes_others`, also what the inventory got
    since. `owner_folder` is where reservations lie on every node.
    """

    file: str
    address: str
    own_ip: str
    environment: Mapping[str, str]
    nodes: tuple[ClusterNode, ...]
    min_memory_bytes: int = 0
    takes_others: bool = True
    owner_folder: str = ""

    @property
    def slots(self) -> int:
        return sum(node.slots for node in self.nodes)

    def owner_rules(self, name: str) -> OwnerRules:
        """When a node is its owner's; one that the inventory got since has reservations alone."""
        for node in self.nodes:
            if node.name == name:
                return OwnerRules(self.owner_folder, node.quiet, node.idle_s)
        return OwnerRules(self.owner_folder)

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
