"""What is due to be told through one channel: from what happened to messages; no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runlog.records import Record
from sweep.driver.monitor.progress import StudyView
from sweep.driver.notify.message import Message, Words
from sweep.spec.notify import Notify

FAILING = 3
"""So many trials in a row that broke are told; the failure of one is not worth a message."""

LEAST_SILENCE_S = 600.0
SILENCE_AT_FIRST_S = 3600.0
"""How long nothing may arrive before the first report: programs compile, data is fetched."""

GAPS = 3.0
"""No report for so many times the longest gap so far is told."""


@dataclass(frozen=True)
class Ending:
    """How the study's session ended by itself: finished, or else `what` stopped it and the `reason`."""

    what: str | None = None
    reason: str | None = None


@dataclass
class Happened:
    """What the driver knows of this session so far; times are of its monotonic clock.

    `moved` is when the last report or end of a trial came, at first when the session began; `broken` trials
    in a row broke.
    """

    moved: float
    view: StudyView | None = None
    longest_gap_s: float | None = None
    broken: int = 0
    last_reason: str | None = None
    ending: Ending | None = None

    def report(self, now: float) -> None:
        """Something has come."""
        self.longest_gap_s = max(self.longest_gap_s or 0.0, now - self.moved)
        self.moved = now

    def end(self, *, broke: bool, reason: str | None, now: float) -> None:
        """A trial has ended; what diverged did not break."""
        self.broken = self.broken + 1 if broke else 0
        self.last_reason = reason if broke else self.last_reason
        self.report(now)


class Decider:
    """Remembers what was told through one channel, in earlier sessions too: nothing is told twice.

    `stop_after` trials in a row that broke stop the study, which is told by itself.
    """

    def __init__(
        self, notify: Notify, words: Words, *, stop_after: int | None, told: Iterable[Record] = ()
    ) -> None:
        self._notify = notify
        self._words = words
        self._told = list(told)
        trials = [each["trial"] for each in self._told if "trial" in each]
        self._best = trials[-1] if trials else None
        self._best_due = float("-inf")
        self._tells_failing = stop_after is None or stop_after > FAILING
        self._said_failing = False
        self._said_end = False
        self._said_silence: float | None = None

    def due(self, happened: Happened, now: float) -> Iterator[Message]:
        """What else is to be told now; what is given counts as told."""
        on, view = self._notify.on, happened.view
        if happened.ending is not None:
            yield from self._at_the_end(happened.ending, view)
            return
        if view is None or view.stopping:
            return
        if "failure" in on:
            yield from self._failing(happened, view)
        if "silence" in on:
            yield from self._silence(happened, view, now)

    def best(self, view: StudyView, now: float) -> Message | None:
        """The new best, where it is to be told now; what is given counts as told."""
        best = view.best
        if "best" not in self._notify.on or view.stopping or best is None:
            return None
        if best.number == self._best or now < self._best_due:
            return None
        self._best, self._best_due = best.number, now + self._notify.every_s
        return self._words.best(view, best)

    def _failing(self, happened: Happened, view: StudyView) -> Iterator[Message]:
        if happened.broken < FAILING:
            self._said_failing = False
        elif self._tells_failing and not self._said_failing:
            self._said_failing = True
            yield self._words.failing(view, happened.broken, happened.last_reason)

    def _silence(self, happened: Happened, view: StudyView, now: float) -> Iterator[Message]:
        silent_s = now - happened.moved
        is_said = self._said_silence == happened.moved
        if view.running and not is_said and silent_s > self._longest_silence_s(happened):
            self._said_silence = happened.moved
            yield self._words.silence(view, silent_s)

    def _longest_silence_s(self, happened: Happened) -> float:
        if self._notify.silence_s is not None:
            return self._notify.silence_s
        if happened.longest_gap_s is None:
            return SILENCE_AT_FIRST_S
        return max(LEAST_SILENCE_S, GAPS * happened.longest_gap_s)

    def _at_the_end(self, ending: Ending, view: StudyView | None) -> Iterator[Message]:
        on = self._notify.on
        if view is None or self._said_end:
            return
        self._said_end = True
        if ending.what is not None:
            if "failure" in on:
                yield self._words.stopped(view, ending.what, ending.reason)
            return
        told = any(each["about"] == "end" and each.get("ended") == view.done for each in self._told)
        if "end" in on and not told:
            yield self._words.end(view)
