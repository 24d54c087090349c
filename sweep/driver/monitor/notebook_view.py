"""The live view in a notebook: one output of the cell, updated in place; what was said stands below it."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

from sweep.driver.monitor.progress import StudyView, facts

DRAW_EVERY_S = 0.5
"""How often it is drawn at most: each drawing is sent to the browser."""

NOTES = 12
"""How many of the last messages are shown."""

CELL = 'style="text-align: left; padding: 0 1em 0 0"'


class Output(Protocol):
    """One output of a cell."""

    def update(self, data: dict[str, str], *, raw: bool) -> None: ...


@dataclass
class NotebookView:
    """Shows how a study goes in one output of the cell that runs it."""

    name: str
    _output: Output | None = field(default=None, init=False)
    _notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES), init=False)
    _stage: str = field(default="", init=False)
    _view: StudyView | None = field(default=None, init=False)
    _drawn: float = field(default=0.0, init=False)

    def note(self, text: str) -> None:
        """Say one thing, once, below the facts."""
        self._notes.append(text.replace("Ctrl-C again stops", "Interrupting it again stops"))
        self._draw()

    def tip(self, text: str) -> None:
        """Say one thing that may be useful and needs no action."""
        self.note(text)

    def stage(self, text: str) -> None:
        """Say what is being done before there is anything to show."""
        self._stage = f"{text} ..."
        self._draw()

    def show(self, view: StudyView) -> None:
        """Draw the study as it stands; too soon after the last drawing, wait for the next call."""
        self._view = view
        if time.monotonic() - self._drawn >= DRAW_EVERY_S:
            self._draw()

    def close(self) -> None:
        """Draw the last state."""
        if self._output is not None:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        data = {"text/html": self._html(), "text/plain": self._text()}
        if self._output is None:
            self._output = new_output(data)
        else:
            self._output.update(data, raw=True)

    def _facts(self) -> list[tuple[str, str]]:
        return facts(self._view) if self._view is not None else [("", self._stage)]

    def _text(self) -> str:
        lines = [self.name, *(f"{label:6}  {text}".rstrip() for label, text in self._facts()), *self._notes]
        return "\n".join(lines)

    def _html(self) -> str:
        rows = "".join(
            f"<tr><th {CELL}>{escape(label)}</th><td {CELL}>{escape(text)}</td></tr>"
            for label, text in self._facts()
        )
        bar = ""
        if self._view is not None and self._view.budget:
            bar = f' <progress value="{self._view.done}" max="{self._view.budget}"></progress>'
        notes = "".join(f"<div>{escape(text)}</div>" for text in self._notes)
        return f"<div><b>{escape(self.name)}</b>{bar}<table><tbody>{rows}</tbody></table>{notes}</div>"


def new_output(data: dict[str, str]) -> Output:
    """Add an output to the cell that runs."""
    from IPython.display import display

    output: Output = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
    return output


def is_in_a_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
