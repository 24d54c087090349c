"""What an owner does for those who hold trials: the same for its own process and for others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sweep.api.python.summary import Summary
from sweep.errors import SweepError
from sweep.vocabulary.trial import Report, Snapshot, TrialState
from sweep.vocabulary.turn import Load


class OwnerGone(Exception):
    """The process that owned the study has ended, or has closed it; another one may own it from here on."""


class NotHeldError(SweepError):
    """A trial is held by another process by now."""


@dataclass(frozen=True)
class Handed:
    """A trial for one that asked: `examples` is where it was last reported, by any process, `last` what."""

    load: Load
    examples: int = 0
    last: Mapping[str, float] = field(default_factory=dict)


class Desk(Protocol):
    """An owner, here or elsewhere; `who` names the process that asks. Each call may raise OwnerGone.

    A call may be made again where it is not known whether the owner has heard it.
    """

    def ask(self, who: str, held: Collection[int]) -> Handed | None:
        """The next trial; None once the budget is used, or while others hold what is left of it.

        `held` are those that it has: another one that it was given has never reached it.
        """

    def claim(self, who: str, number: int) -> Handed | TrialState:
        """Hold a trial further that an earlier owner gave out; how it has ended, if it has."""

    def report(self, who: str, report: Report, snapshots: Sequence[Snapshot]) -> TrialState | None:
        """Enter a report; how the trial has ended, if it has."""

    def end(
        self,
        who: str,
        number: int,
        report: Report | None,
        failure: str | None,
        snapshots: Sequence[Snapshot],
    ) -> TrialState | None:
        """End a trial, with a last report or without; how it has ended."""

    def rest(self, who: str, number: int, snapshots: Sequence[Snapshot]) -> None:
        """Keep what a trial has saved, before its process leaves it."""

    def ended(self, number: int) -> TrialState | None:
        """How a trial has ended; None while it has not."""

    def summary(self) -> Summary:
        """How the study stands."""

    def leave(self, who: str) -> None:
        """A process closes the study: what it holds is asked for again."""
