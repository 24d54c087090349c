"""Tables and lines for the terminal. Findings: all nodes side by side, then each fault."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from clusters.doctor.finding import Finding, Status
from clusters.lifecycle.states import NodeProgress, Phase
from clusters.lifecycle.status import ClusterStatus

_STYLES = {Status.GREEN: "green", Status.WARN: "yellow", Status.RED: "bold red", Status.SKIPPED: "dim"}


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a row per check and a column per node, then every finding that is not green."""
    nodes = list(dict.fromkeys(found.node for found in findings))
    by_check: dict[str, dict[str, Finding]] = {check: {} for check in _in_order(findings)}
    for found in findings:
        by_check[found.check][found.node] = found
    table = Table(box=None)
    table.add_column("check")
    for node in nodes:
        table.add_column(node, overflow="fold")
    for check, row in by_check.items():
        table.add_row(check, *(_cell(row.get(node)) for node in nodes))
    console.print(table)
    for found in findings:
        if found.status in (Status.WARN, Status.RED):
            style = _STYLES[found.status]
            console.print(f"\n[{style}]{found.status}[/] {found.node}, {found.check}: ", end="")
            for text, before in ((found.saw, ""), (found.ran, "\n  ran:  "), (found.fix, "\n  fix:  ")):
                if text:
                    console.print(before + text, end="", markup=False, highlight=False, soft_wrap=True)
            console.print()


def _in_order(findings: Sequence[Finding]) -> list[str]:
    """The checks as they are made: one that the first node has not stands where the others have it."""
    order: list[str] = []
    before: dict[str, str] = {}
    for found in findings:
        if found.check not in order:
            order.insert(order.index(before[found.node]) + 1 if found.node in before else 0, found.check)
        before[found.node] = found.check
    return order


def say_state(state: NodeProgress) -> None:
    """Print one line on a node that came up; on stderr where it did not."""
    if state.phase is not Phase.UP:
        print(state, file=sys.stderr)
        return
    memory = state.about.get("memory_bytes")
    words = [state.about.get("chip"), f"{memory / 10**9:.0f} GB" if memory else None, state.note]
    print(f"{state.node}: up ({', '.join(word for word in words if word)})")


def show_status(found: ClusterStatus, console: Console) -> None:
    """Print a row per node, what is wrong, and how to reach the dashboard."""
    table = Table(box=None)
    for heading in ("node", "state", "held by", "slots busy", "chip", "heat"):
        table.add_column(heading)
    for node in found.nodes:
        busy = f"{node.busy}/{node.slots}" if node.state == "up" else "-"
        style = {"up": "green", "starting": "yellow", "down": "dim"}.get(node.state, "bold red")
        state = f"[{style}]{node.state}[/]"
        held_by = (node.held_by or "-").partition(":")[
            0
        ]  # of a supervisor: user and host, without its folder
        table.add_row(node.node, state, held_by, busy, node.chip or "unknown", node.heat or "unknown")
    console.print(table)
    lines = [text for node in found.nodes for text in (node.says, node.reserved) if text]
    if any(node.state == "up" for node in found.nodes):
        lines += [
            f"Ray's head: {found.address}",
            f"dashboard:  {found.dashboard}, after: {found.tunnel}",
            f"its token:  {found.token}",
        ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cell(found: Finding | None) -> str:
    return f"[{_STYLES[found.status]}]{found.status}[/]" if found is not None else "-"
