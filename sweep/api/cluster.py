"""The cluster that a study file names, as plain values; only here do studies and clusters meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweep.errors import SpecError, SweepError

if TYPE_CHECKING:
    from clusters.inventory import Inventory
    from sweep.executors.cluster import Cluster, ClusterNode
    from sweep.spec.schema import StudySpec


def inventory_of(spec: StudySpec) -> Inventory | None:
    """The inventory that the study names; None where it runs on this machine.

    Raises SpecError where the file is not there, or holds no inventory: with its own lines.
    """
    if spec.cluster == "local":
        return None
    from clusters.errors import InventoryError
    from clusters.inventory import load

    path = spec.folder / spec.cluster
    if not path.is_file():
        rule = "must be `local` or an inventory file"
        remedy = "give its path from the study file's folder; docs/mac-cluster.md shows an inventory"
        raise SpecError([spec.document.problem(("cluster",), rule, str(path), remedy)])
    try:
        return load(path)
    except InventoryError as error:
        raise SpecError(error.problems) from error


def joined(spec: StudySpec) -> Cluster | None:
    """What this machine needs to run the study on its cluster; None where it runs on this machine alone.

    Raises SweepError where the cluster is not up, or has no node that the study may use.
    """
    from sweep.executors.choosing import traits

    inventory = inventory_of(spec)
    if inventory is None or not traits(spec).uses_cluster:
        return None
    from clusters import paths
    from clusters.connection import connection, here
    from clusters.errors import ClusterError
    from sweep.executors.cluster import Cluster, ClusterNode

    try:
        found = connection(inventory)
        own = here(inventory)
    except ClusterError as error:
        raise SweepError(str(error)) from error
    assert own is not None, "there is a connection on a node of the cluster alone"
    nodes = [
        ClusterNode(
            node.name, node.address, node.slots, node.tags, node.reserve_bytes, node.quiet, node.idle_s
        )
        for node in found.nodes
    ]
    return Cluster(
        str(inventory.file),
        found.address,
        next(node.ip for node in nodes if node.name == own.name),
        found.environment,
        _usable(spec, nodes),
        spec.require.min_memory_bytes or 0,
        takes_others=not spec.require.tags,
        owner_folder=paths.own(inventory),
    )


def _usable(spec: StudySpec, nodes: Sequence[ClusterNode]) -> tuple[ClusterNode, ...]:
    from sweep.executors.cluster import tagged

    usable = tagged(nodes, spec.require.tags)
    if not usable:
        have = ", ".join(f"{node.name} has {' '.join(node.tags) or 'none'}" for node in nodes)
        remedy = f"tag a node in {spec.cluster}, or require less"
        rule = "must all be tags of one node"
        found = f"{' '.join(spec.require.tags)}, while {have}"
        raise SpecError([spec.document.problem(("require", "tags"), rule, found, remedy)])
    return usable
