"""A worker that answers every turn at once: what a study costs when training costs nothing.

It stands where `sweep.worker.worker.Worker` does, in the same actor, and is driven by the same turns.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Report, RunId, Scalar, Signature
from sweep.vocabulary.turn import Load, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker.spool import Spool

METRIC = "loss"
HOST = "here"

DESCRIPTION = Description(
    static=(),
    switches=(),
    dynamic=("learning_rate", "weight_decay"),
    metrics=(METRIC,),
    train_examples=1,
    validation_examples=1,
    device="cpu",
    chip="none",
    memory_bytes=1_000_000_000,
    vmap_incompatibility=None,
)


def objective(hyperparameters: Mapping[str, Scalar], step: int) -> float:
    """Something to minimise that takes no time; it falls with every step."""
    rate, decay = hyperparameters["learning_rate"], hyperparameters["weight_decay"]
    assert isinstance(rate, float)
    assert isinstance(decay, float)
    return (math.log10(rate) + 2) ** 2 + (math.log10(decay) + 4) ** 2 + 1 / step


@dataclass(frozen=True)
class Info:
    """Where a worker runs."""

    host: str = HOST
    chip: str = "none"
    memory_bytes: int = 0


@dataclass
class _Lane:
    load: Load
    seen: int


class ToyWorker:
    """Every lane reports at once; after `advance_s` seconds where an advance is to last."""

    advance_s = 0.0

    def __init__(self, settings: WorkerSettings) -> None:
        self.spool = Spool()
        self._lanes: dict[int, _Lane] = {}
        self._opened: tuple[Signature, int] | None = None
        self._idle_since: float | None = None

    def info(self) -> Info:
        return Info()

    def turn(self, turn: Turn) -> TurnResult:
        """Carry out one turn."""
        began = time.perf_counter()
        if self._opened != (turn.signature, turn.width) or turn.moves:
            same = self._opened is not None and self._opened[0] == turn.signature
            moves = turn.moves if same else ()
            self._lanes = {new: self._lanes[lane] for lane, new in moves if lane in self._lanes}
            self._opened = (turn.signature, turn.width)
        for lane in turn.drops:
            self._lanes.pop(lane, None)
        for load in turn.loads:
            self._lanes[load.lane] = _Lane(load, 0)
        if not turn.advance:
            return TurnResult(turn.number)
        if self.advance_s:
            time.sleep(self.advance_s * turn.reports)
        idle_s = began - self._idle_since if self._idle_since is not None else 0.0
        result = self._advance(turn, idle_s)
        self._idle_since = time.perf_counter()
        return result

    def close(self) -> None:
        self.spool.close()

    def _advance(self, turn: Turn, idle_s: float) -> TurnResult:
        reports: list[Report] = []
        finished: list[RunId] = []
        seconds = self.advance_s * turn.reports
        spent = Spent(train_s=seconds, idle_s=idle_s, examples=turn.reports)
        runs = {lane.load.run: spent for lane in self._lanes.values()}
        for _ in range(turn.reports):
            for index, lane in list(self._lanes.items()):
                lane.seen += 1
                reports.append(_report(turn, lane))
                if lane.seen == lane.load.plan.length.examples:
                    finished.append(lane.load.run)
                    del self._lanes[index]
        return TurnResult(
            turn.number,
            reports=tuple(reports),
            finished=tuple(finished),
            spent=runs,
            turn_s=seconds,
        )


def _report(turn: Turn, lane: _Lane) -> Report:
    load = lane.load
    return Report(
        trial=load.plan.number,
        replicate=load.replicate,
        examples=lane.seen,
        epoch=float(lane.seen),
        updates=lane.seen,
        metrics={METRIC: objective(load.plan.hyperparameters, lane.seen)},
        attempt=load.attempt,
        width=turn.width,
        lane=load.lane,
        host=HOST,
        time=time.time(),
    )
