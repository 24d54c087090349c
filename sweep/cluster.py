"""A cluster that is up, as plain values: where Ray answers and which of its nodes a study may use."""

from __future__ import annotations

from collections.abc import Mapping
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

    `environment` must be set before Ray is imported; `file` is the inventory, for messages.
    """

    file: str
    address: str
    own_ip: str
    environment: Mapping[str, str]
    nodes: tuple[ClusterNode, ...]

    @property
    def slots(self) -> int:
        return sum(node.slots for node in self.nodes)
