"""What is wrong on each node, in the order in which one thing hides another; and for this machine alone."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from clusters import between, checks, raychecks
from clusters.checks import Check
from clusters.findings import Finding, Status
from clusters.inventory import Inventory, Node
from clusters.looking import Lab, Seen, look
from clusters.schema import Ports

CHECKS: tuple[Check, ...] = (
    checks.login,
    between.distinct,
    checks.native,
    checks.system_version,
    between.environment,
    checks.accelerator,
    checks.address,
    checks.route,
    between.links,
    checks.firewall,
    checks.power,
    checks.display,
    checks.open_files,
    checks.disk,
    checks.memory,
    between.clock,
    raychecks.token,
    raychecks.ports,
    raychecks.ray,
    raychecks.actors,
    checks.burn,
)
"""In the order in which they are made; a red one leaves those after it unmade on that node."""


def examine(inventory: Inventory, *, alone: bool = False, burn: bool = False) -> list[Finding]:
    """Look at all nodes and judge what was seen."""
    return judge(look(inventory, alone=alone, burn=burn))


def judge(lab: Lab) -> list[Finding]:
    """All findings, node by node in the inventory's order, each node's in the order of CHECKS."""
    return [found for seen in lab.seen.values() for found in _of_node(seen, lab)]


def this_machine() -> Inventory:
    """An inventory of nothing but this machine, as this program runs on it."""
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
    """Whether something must be mended before Ray can be started."""
    return any(found.status is Status.RED for found in findings)


def _of_node(seen: Seen, lab: Lab) -> list[Finding]:
    made: list[Finding] = []
    for check in CHECKS:
        if made and made[-1].status in (Status.RED, Status.SKIPPED):
            made.append(Finding(seen.node.name, check.__name__.replace("_", " "), Status.SKIPPED))
            continue
        found = check(seen, lab)
        if found is not None:
            made.append(found)
    return made
