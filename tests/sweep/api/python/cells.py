"""Cells of a notebook, as its kernel runs them: compiled under a name whose source `linecache` knows."""

from __future__ import annotations

import linecache
from itertools import count
from textwrap import dedent
from typing import Any

_NUMBERS = count(1)


class Kernel:
    """The names of a notebook, filled by the cells that it runs."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, text: str) -> dict[str, Any]:
        """Run a cell; all names there are then."""
        name, text = f"<cell {next(_NUMBERS)}>", dedent(text)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), self.names)
        return self.names
