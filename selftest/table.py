"""The table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from selftest.records import label
from selftest.results import Result, Status

_STYLES = {Status.GREEN: "green", Status.AMBER: "yellow", Status.RED: "bold red"}


def show(found: dict[str, Any], others: Sequence[dict[str, Any]]) -> None:
    """Print a row a check, beside it what other chips found."""
    shown = Table(box=None)
    for heading in ("check", "", "seen here", *(label(other) for other in others)):
        shown.add_column(heading, overflow="fold")
    for held in found["results"]:
        result = Result.from_json(held)
        status = f"[{_STYLES[result.status]}]{result.status}[/]"
        shown.add_row(
            f"{result.group}: {result.name}",
            status,
            result.saw,
            *(seen_on(other, result) for other in others),
        )
    console = Console()
    console.print(f"{label(found)}, {found['machine']['memory_gb']} GB", highlight=False)
    console.print(shown)
    counts = {status: sum(held["status"] == status for held in found["results"]) for status in Status}
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(f"{words}; {found['seconds']:.0f} s", highlight=False)


def seen_on(other: dict[str, Any], result: Result) -> str:
    """What a recorded machine found in the same check."""
    same = [held for held in other["results"] if (held["group"], held["name"]) == (result.group, result.name)]
    return str(same[0]["saw"]) if same else "-"
