"""Tables on stdout: as wide as the terminal, or as wide as they are where it is none."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

PIPED_WIDTH = 1000


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: Sequence[str] = ()
) -> None:
    """Print rows under their columns, to the right but those named in `left`."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="left" if column in left else "right", overflow="fold", no_wrap=column not in left
        )
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)


def short(value: object) -> str:
    """A value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def in_a_line(text: str) -> str:
    """Text of any kind as one line, with nothing in it that a terminal obeys."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))


def pairs(values: Iterable[tuple[str, object]]) -> str:
    """`name=value` after one another."""
    return " ".join(f"{name}={short(value)}" for name, value in values)
