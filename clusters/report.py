"""Findings for a person: all nodes side by side, then what is wrong with what to type, a paragraph each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from clusters.findings import Finding, Status

_STYLES = {Status.GREEN: "green", Status.WARN: "yellow", Status.RED: "bold red", Status.SKIPPED: "dim"}


def show(findings: Sequence[Finding], console: Console) -> None:
    """Print a row a check and a column a node, then every finding that is not green."""
    nodes = list(dict.fromkeys(found.node for found in findings))
    by_check: dict[str, dict[str, Finding]] = {}
    for found in findings:
        by_check.setdefault(found.check, {})[found.node] = found
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
            for text, before in ((found.saw, ""), (found.ran, "\n  ran:  "), (found.cure, "\n  type: ")):
                if text:
                    console.print(before + text, end="", markup=False, highlight=False, soft_wrap=True)
            console.print()


def _cell(found: Finding | None) -> str:
    return f"[{_STYLES[found.status]}]{found.status}[/]" if found is not None else "-"
