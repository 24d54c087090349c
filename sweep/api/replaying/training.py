"""Trials trained again from their record, each alone: what they report now, and their final checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.api.replaying.recorded import Place
from sweep.executors.base import Executor
from sweep.vocabulary.trial import RunId, Snapshot, TrialPlan
from sweep.vocabulary.turn import Load, SlotJoined, SlotLost, Turn, TurnDone, TurnResult

WAIT_S = 0.25


@dataclass
class Trained:
    """What a replicate did: its reports, the hash of its final checkpoint, why it failed."""

    reports: dict[Place, Mapping[str, float]] = field(default_factory=dict)
    checkpoint: Snapshot | None = None
    failure: str | None = None
    diverged: bool = False


class Training:
    """One worker that trains replicates one after another; `executor` has one slot and is started here."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._slot: str | None = None
        self._turns = 0

    def train(self, plan: TrialPlan, replicate: int, *, until: int | None, width: int = 1) -> Trained:
        """Train from the start to the report at `until` examples, None to the end or to a failure."""
        run, found = RunId(plan.number, replicate), Trained()
        start = plan.start.get(replicate)
        load = Load(0, plan, replicate, attempt=0, checkpoint=None if start is None else start.path)
        loads: tuple[Load, ...] = (load,)
        while True:
            result = self._turn(plan, width, loads=loads)
            loads = ()
            for report in result.reports:
                found.reports.setdefault(Place(report.examples, replicate), report.metrics)
            for snapshot in result.snapshots:
                found.checkpoint = snapshot if snapshot.final else found.checkpoint
            failed = next((each for each in result.failures if each.run == run), None)
            if failed is not None or result.error is not None:
                found.failure = failed.reason if failed is not None else result.error
                found.diverged = failed is not None and failed.diverged
                return found
            if run in result.finished:
                return found
            if until is not None and any(place.examples >= until for place in found.reports):
                self._turn(plan, width, drops=(0,))
                return found

    def _turn(
        self, plan: TrialPlan, width: int, *, loads: tuple[Load, ...] = (), drops: tuple[int, ...] = ()
    ) -> TurnResult:
        slot = self._slot or self._join()
        self._turns += 1
        turn = Turn(self._turns, plan.signature, width, drops=drops, loads=loads, advance=not drops)
        self._executor.submit(slot, turn)
        while True:
            for event in self._executor.wait(WAIT_S):
                match event:
                    case TurnDone(result=result) if result.number == turn.number:
                        return result
                    case SlotLost():
                        self._slot = None
                        return TurnResult(turn.number, error=f"its worker was lost: {event.reason}")

    def _join(self) -> str:
        self._executor.start()
        while self._slot is None:
            joined = [each for each in self._executor.wait(WAIT_S) if isinstance(each, SlotJoined)]
            self._slot = joined[0].slot if joined else None
        return self._slot
