"""What a worker trains, behind one seam: lanes of a population, a function, or a command."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from sweep.vocabulary.trial import Report, RunId, TrialPlan
from sweep.vocabulary.turn import Load, Spent, Turn, TurnResult
from train_core import keys


class PartlyDone(Exception):
    """A turn failed after some of its reports: `result` holds those; the cause is why."""

    def __init__(self, result: TurnResult) -> None:
        super().__init__()
        self.result = result


class Content(Protocol):
    """The trainable content of a worker; only one thread calls it, and what it raises fails its turn."""

    def carry_out(self, turn: Turn, waited_s: float) -> TurnResult:
        """Drop, load, advance, save, as the turn says; the worker had waited so long for it, in seconds."""

    def forget(self) -> None:
        """Give up all runs: a turn failed as a whole."""

    def used_bytes(self) -> int:
        """The memory that it takes outside of this process; asked from another thread."""

    def take_notes(self) -> tuple[str, ...]:
        """Messages for a person since the last time."""

    def close(self) -> None: ...


@dataclass
class Occupant:
    """The run in a lane: what loaded it, when it was last saved, what it has spent in this turn.

    `best` is the best objective that it has reported since it was loaded, greater being better; `stretch`
    says which one of its plan it trains.
    """

    load: Load
    saved_at: float
    spent: Spent = field(default_factory=Spent)
    best: float = float("-inf")
    stretch: int = 0

    @property
    def run(self) -> RunId:
        return self.load.run


def run_key(plan: TrialPlan, replicate: int, trial: int | None = None) -> Any:
    """The key of one run: fold_in(fold_in(key(seed), number), replicate); uint32 (2,).

    `trial`: that of another trial, whose stretch it trains.
    """
    number = plan.own_key if trial is None else trial
    return keys.fold_in(keys.fold_in(keys.key(plan.seed), number), replicate)


class Reported(Protocol):
    """What was seen at a boundary, before it is the report of a run."""

    @property
    def examples(self) -> int: ...

    @property
    def epoch(self) -> float: ...

    @property
    def updates(self) -> int: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...


def report_of(
    load: Load, turn: Turn, found: Reported, *, lane: int, tokens_per_s: float | None = None
) -> Report:
    """The report of a run that trains here, now."""
    return Report(
        trial=load.plan.number,
        replicate=load.replicate,
        examples=found.examples,
        epoch=found.epoch,
        updates=found.updates,
        metrics=found.metrics,
        attempt=load.attempt,
        width=turn.width,
        lane=lane,
        host=_host(),
        time=time.time(),
        tokens_per_s=tokens_per_s,
    )


@cache
def _host() -> str:
    return socket.gethostname()
