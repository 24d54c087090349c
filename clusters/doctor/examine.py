"""All checks of all nodes, in the order in which one fault hides another; or of this machine alone."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from clusters.doctor import firewall_check, node_checks, pair_checks, ray_checks
from clusters.doctor.collect import Lab, Observation, collect
from clusters.doctor.finding import Finding, Status
from clusters.doctor.node_checks import Check
from clusters.inventory import Inventory, Node
from clusters.schema import Ports

CHECKS: tuple[Check, ...] = (
    node_checks.login,
    pair_checks.distinct,
    node_checks.native,
    node_checks.system_version,
    pair_checks.environment,
    node_checks.accelerator,
    node_checks.address,
    node_checks.route,
    pair_checks.links,
    firewall_check.firewall,
    node_checks.power,
    node_checks.display,
    node_checks.open_files,
    node_checks.disk,
    node_checks.memory,
    pair_checks.clock,
    ray_checks.token,
    ray_checks.ports,
    ray_checks.ray,
    ray_checks.actors,
    node_checks.burn,
)
"""In the order in which they run; after a red one the rest are skipped on that node."""


def examine(inventory: Inventory, *, alone: bool = False, burn: bool = False) -> list[Finding]:
    """Ask all nodes, and judge the answers."""
    return judge(collect(inventory, alone=alone, burn=burn))


def judge(lab: Lab) -> list[Finding]:
    """All findings, node by node in the inventory's order, each node's in the order of CHECKS."""
    return [found for seen in lab.observations.values() for found in _of_node(seen, lab)]


def this_machine() -> Inventory:
    """An inventory of this machine alone, with the Python that runs here."""
    node = Node(platform.node().removesuffix(".local") or "here", None, "127.0.0.1", is_head=True)
    return Inventory(
        file=Path("lab.yaml"),
        name="here",
        nodes=(node,),
        folder="~/.sweep",
        python=sys.executable,
        own_environment=False,
        tls=False,
        ports=Ports(),
        ssh_config=None,
        hold="ssh",
    )


def is_red(findings: Sequence[Finding]) -> bool:
    """Whether something must be fixed before Ray can start."""
    return any(found.status is Status.RED for found in findings)


def _of_node(seen: Observation, lab: Lab) -> list[Finding]:
    made: list[Finding] = []
    for check in CHECKS:
        if made and made[-1].status in (Status.RED, Status.SKIPPED):
            made.append(Finding(seen.node.name, check.__name__.replace("_", " "), Status.SKIPPED))
            continue
        found = check(seen, lab)
        if found is not None:
            made.append(found)
    return made
