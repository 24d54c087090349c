"""What a person sees while a study runs: a live view in a terminal, plain lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sweep.vocabulary.trial import Scalar

LINE_EVERY_S = 5.0
"""How often a line comes when no trial has ended."""


@dataclass(frozen=True)
class BestSoFar:
    """The best COMPLETE trial so far; with several objectives none is."""

    number: int
    value: float
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class StudyView:
    """The study at one moment; `ended` counts told trials by state.

    `examples` were seen in this session; `waiting` runs have no lane; `faults` are workers lost and turns
    that failed as a whole; `earlier` trials had ended before this session, whose time is `elapsed_s`.
    `asked` is what was last asked by hand, and what came of it.
    """

    ended: Mapping[str, int]
    running: int
    budget: int | None
    slots: int
    lanes: int
    lanes_busy: int
    slots_busy: int
    elapsed_s: float
    examples_per_s: float
    best: BestSoFar | None = None
    stopping: bool = False
    examples: int = 0
    waiting: int = 0
    faults: int = 0
    earlier: int = 0
    asked: str = ""

    @property
    def done(self) -> int:
        return sum(self.ended.values())


class Progress(Protocol):
    """Where a run shows how it goes."""

    def note(self, text: str) -> None:
        """Say one thing, once."""

    def tip(self, text: str) -> None:
        """Say one thing that may be useful and needs no action."""

    def stage(self, text: str) -> None:
        """Say what is being done before there is anything to show."""

    def show(self, view: StudyView) -> None:
        """The study as it stands; called often."""

    def close(self) -> None: ...


class Quiet:
    """Prints only what went wrong."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    def tip(self, text: str) -> None:
        pass

    def stage(self, text: str) -> None:
        pass

    def show(self, view: StudyView) -> None:
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

    def tip(self, text: str) -> None:
        self.note(text)

    def stage(self, text: str) -> None:
        self.note(f"{self.name}: {text}")

    def show(self, view: StudyView) -> None:
        now = time.monotonic()
        done, at = self._said
        due_s = 1.0 if view.done != done else LINE_EVERY_S
        if now - at >= due_s:
            self._said = (view.done, now)
            self.note(f"{self.name}: {one_line(view)}")

    def close(self) -> None:
        pass


def one_line(view: StudyView) -> str:
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


def facts(view: StudyView) -> list[tuple[str, str]]:
    """What a live view shows of a study: a word for each fact, and the fact."""
    slots = f"{view.slots_busy} of {view.slots} slots busy" if view.slots else "waiting for workers"
    left = time_left_s(view)
    about = f", about {duration(left)} left" if left is not None and not view.stopping else ""
    return [
        ("trials", _trials(view)),
        ("lanes", f"{view.lanes_busy} of {view.lanes} lanes busy, {slots}"),
        ("speed", f"{view.examples_per_s:,.0f} examples/s"),
        ("best", _best(view)),
        ("time", f"{duration(view.elapsed_s)}{about}" + (", stopping" if view.stopping else "")),
        *([("asked", view.asked)] if view.asked else []),
    ]


def _trials(view: StudyView) -> str:
    ended = [f"{count} {state.lower()}" for state, count in view.ended.items() if count]
    total = f", {view.budget} in all" if view.budget is not None else ""
    return ", ".join([*(ended or ["none ended yet"]), f"{view.running} running"]) + total


def _best(view: StudyView) -> str:
    if view.best is None:
        return "none yet"
    params = " ".join(f"{key}={_short(value)}" for key, value in view.best.params.items())
    return f"{view.best.value:.6g}, trial {view.best.number}: {params}"


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`1h 02m`, `2m 05s` or `7s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def time_left_s(view: StudyView) -> float | None:
    """What is left at this session's pace.

    None without a budget, before the session's first trial and after the study's last.
    """
    ended = view.done - view.earlier
    if view.budget is None or ended <= 0 or view.done >= view.budget or not view.elapsed_s:
        return None
    return (view.budget - view.done) * view.elapsed_s / ended
