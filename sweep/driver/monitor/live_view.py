"""The live view in a terminal: a few lines redrawn in place, on stderr; messages scroll above them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from sweep.driver.monitor.progress import StudyView, facts

DRAW_EVERY_S = 0.5
"""How often it is drawn at most: a drawing takes milliseconds of the driver's time."""

BAR_WIDTH = 40


@dataclass
class LiveView:
    """A live view redrawn in place; notes scroll above it."""

    name: str
    console: Console = field(default_factory=lambda: Console(stderr=True))
    _live: Live | None = field(default=None, init=False)
    _drawn: float = field(default=0.0, init=False)
    _view: StudyView | None = field(default=None, init=False)

    def note(self, text: str) -> None:
        """Say one thing, once, above the live view."""
        self._open().console.print(text, markup=False, highlight=False)

    def tip(self, text: str) -> None:
        """Say one thing that may be useful and needs no action."""
        self.note(text)

    def stage(self, text: str) -> None:
        """Say what is being done before there is anything to show."""
        self._open().update(f"{self.name}: {text} ...", refresh=True)

    def show(self, view: StudyView) -> None:
        """Draw the study as it stands; too soon after the last drawing, wait for the next call."""
        self._view = view
        if time.monotonic() - self._drawn >= DRAW_EVERY_S:
            self._draw()

    def close(self) -> None:
        """Draw the last state, and leave it on the screen."""
        if self._view is not None:
            self._draw()
        if self._live is not None:
            self._live.stop()

    def _draw(self) -> None:
        assert self._view is not None
        self._drawn = time.monotonic()
        self._open().update(live_table(self.name, self._view, self.console.width), refresh=True)

    def _open(self) -> Live:
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        return self._live


def live_table(name: str, view: StudyView, width: int) -> Table:
    """The live view's lines, folded where the terminal has few columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True, overflow="ellipsis", max_width=max(8, width // 3))
    table.add_column(overflow="fold")
    total = view.budget or max(view.done, 1)
    bar = max(4, min(BAR_WIDTH, width - min(len(name), width // 3) - 4))
    table.add_row(name, ProgressBar(total=total, completed=view.done, width=bar))
    for label, text in facts(view):
        table.add_row(label, text)
    return table
