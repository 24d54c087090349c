"""What a person sees while a study runs: a live panel in a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sweep.trial import Scalar

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

LINE_EVERY_S = 5.0
"""How often the plain form says something when nothing new has ended."""


@dataclass(frozen=True)
class Best:
    """The best COMPLETE trial so far; with several objectives none is."""

    number: int
    value: float
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class View:
    """The study at one moment; `ended` counts told trials by state."""

    ended: Mapping[str, int]
    running: int
    budget: int | None
    slots: int
    lanes: int
    lanes_busy: int
    elapsed_s: float
    examples_per_s: float
    best: Best | None = None
    stopping: bool = False

    @property
    def done(self) -> int:
        return sum(self.ended.values())


class Progress(Protocol):
    """Where a run shows how it goes."""

    def note(self, text: str) -> None:
        """Say one thing, once."""

    def stage(self, text: str) -> None:
        """Say what is being done before there is anything to show."""

    def show(self, view: View) -> None:
        """The study as it stands; called often."""

    def close(self) -> None: ...


class Quiet:
    """Says only what went wrong."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    def stage(self, text: str) -> None:
        pass

    def show(self, view: View) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Lines:
    """A line whenever trials have ended or some seconds have passed."""

    name: str
    _said: tuple[int, float] = (-1, 0.0)

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def stage(self, text: str) -> None:
        self.note(f"{self.name}: {text}")

    def show(self, view: View) -> None:
        now = time.monotonic()
        done, at = self._said
        due_s = 1.0 if view.done != done else LINE_EVERY_S
        if now - at >= due_s:
            self._said = (view.done, now)
            self.note(f"{self.name}: {one_line(view)}")

    def close(self) -> None:
        pass


@dataclass
class Panel:
    """A panel redrawn in place four times a second at most; notes scroll above it."""

    name: str
    _live: Live | None = field(default=None, init=False)
    _drawn: float = field(default=0.0, init=False)

    def note(self, text: str) -> None:
        self._open().console.print(text, markup=False, highlight=False)

    def stage(self, text: str) -> None:
        self._open().update(f"{self.name}: {text} ...", refresh=True)

    def show(self, view: View) -> None:
        now = time.monotonic()
        if now - self._drawn >= 0.25:
            self._drawn = now
            self._open().update(_table(self.name, view), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _open(self) -> Live:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=False)
            self._live.start()
        return self._live


def progress_for(name: str, *, quiet: bool) -> Progress:
    """The form that fits where stderr goes."""
    if quiet:
        return Quiet()
    return Panel(name) if sys.stderr.isatty() else Lines(name)


def one_line(view: View) -> str:
    """Done, running, best and speed in a line."""
    total = f"/{view.budget}" if view.budget is not None else ""
    parts = [f"{view.done}{total} trials", f"{view.running} running"]
    parts += [
        f"{count} {state.lower()}" for state, count in view.ended.items() if state != "COMPLETE" and count
    ]
    if view.best is not None:
        parts.append(f"best {view.best.value:.6g} (trial {view.best.number})")
    if view.examples_per_s:
        parts.append(f"{view.examples_per_s:,.0f} examples/s")
    if not view.slots:
        parts.append("waiting for workers")
    if view.stopping:
        parts.append("stopping")
    return ", ".join([*parts, duration(view.elapsed_s)])


def duration(seconds: float) -> str:
    """`1h 02m`, `2m 05s` or `7s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def time_left_s(view: View) -> float | None:
    """What is left at the pace so far; None before the first trial has ended or without a budget."""
    if view.budget is None or not view.done or not view.elapsed_s:
        return None
    return (view.budget - view.done) * view.elapsed_s / view.done


def _table(name: str, view: View) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True)
    total = view.budget or max(view.done, 1)
    table.add_row(name, ProgressBar(total=total, completed=view.done, width=30))
    ended = (
        ", ".join(f"{count} {state.lower()}" for state, count in view.ended.items() if count) or "none yet"
    )
    table.add_row("trials", f"{ended}, {view.running} running, {total} in all" if view.budget else ended)
    table.add_row("lanes", f"{view.lanes_busy} busy of {view.lanes} on {view.slots} slots")
    table.add_row("speed", f"{view.examples_per_s:,.0f} examples/s")
    if view.best is not None:
        params = ", ".join(f"{key}={_short(value)}" for key, value in view.best.params.items())
        table.add_row("best", f"{view.best.value:.6g}, trial {view.best.number}: {params}")
    left = time_left_s(view)
    about = f", about {duration(left)} left" if left is not None and not view.stopping else ""
    table.add_row("time", f"{duration(view.elapsed_s)}{about}" + (", stopping" if view.stopping else ""))
    return table


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
