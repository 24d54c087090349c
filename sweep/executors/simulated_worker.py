"""A worker that trains nothing: its lanes go from report to report, as a real worker's do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from runlog.layout import CheckpointName
from sweep.spec.population.stretches import is_own, is_passed
from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot
from sweep.vocabulary.turn import Change, Load, Spent, Turn, TurnResult

GAIN = 0.8
"""w lanes are taken to be this power of w times as fast as one, as the scheduler assumes."""

Metrics = Callable[[RunId, float], dict[str, float]]
"""A run's metrics after a fraction of its length."""


@dataclass
class Occupant:
    """A run in a lane: how many examples it has seen, and when it was last saved."""

    load: Load
    seen: int
    saved_at: float

    def boundary(self, reports: int) -> int:
        """Where it gives the last of so many reports."""
        length = self.load.plan.length
        return min((self.seen // length.report_every + reports) * length.report_every, length.examples)

    @property
    def is_own(self) -> bool:
        """Whether its state is one of its own run, to be saved."""
        return is_own(self.load.plan, self.seen)

    @property
    def finished(self) -> bool:
        """Whether it has seen its whole length."""
        return self.seen == self.load.plan.length.examples


@dataclass
class SimulatedWorker:
    """One slot's worker; `is_due` says whether a run saved so long ago, in seconds, is saved again."""

    host: str
    metrics: Metrics
    is_due: Callable[[float], bool]
    lanes: dict[int, Occupant] = field(default_factory=dict)
    signature: Signature | None = None
    width: int = 0
    saved_before: list[Snapshot] = field(default_factory=list)

    def open(self, turn: Turn, now: float) -> None:
        """Save, change, move, drop and load lanes as the turn says."""
        self.saved_before = [self.snapshot(self.lanes[lane]) for lane in turn.saves if lane in self.lanes]
        if turn.probe is not None:
            self.signature, self.width = None, 0
            self.lanes.clear()
            return
        for change in turn.changes:
            self.change(self.lanes[change.lane], change)
        if turn.signature != self.signature or (turn.width != self.width and not turn.moves):
            self.lanes.clear()
        if turn.moves:
            self.lanes = {new: self.lanes[old] for old, new in turn.moves if old in self.lanes}
        self.signature, self.width = turn.signature, turn.width
        for lane in turn.drops:
            self.lanes.pop(lane, None)
        for load in turn.loads:
            assert 0 <= load.lane < turn.width, f"a load names no lane of the turn: {load}"
            assert load.lane not in self.lanes, f"a lane is loaded that is not free: {load}"
            self.lanes[load.lane] = self.load(load, now)

    def change(self, occupant: Occupant, change: Change) -> None:
        """Give a run another plan: one that it copies stands where it does."""
        occupant.load = replace(occupant.load, plan=change.plan)

    def load(self, load: Load, now: float) -> Occupant:
        """A run as it enters a lane."""
        return Occupant(load, stands_at(load), now)

    def snapshot(self, occupant: Occupant, *, final: bool = False) -> Snapshot:
        """A checkpoint of a run, with no bytes."""
        run = occupant.load.run
        path = f"{run.trial}/{run.replicate}/{occupant.seen}"
        return Snapshot(run.trial, run.replicate, occupant.seen, path, bytes=0, sha256="", final=final)

    def saved(self, occupant: Occupant, now: float) -> list[Snapshot]:
        """What is saved of a run that has just reported."""
        if occupant.finished or not occupant.is_own or not self.is_due(now - occupant.saved_at):
            return []
        occupant.saved_at = now
        return [self.snapshot(occupant)]

    def train_s(self, turn: Turn, run_s: Callable[[RunId], float]) -> float:
        """How long the turn takes: as long as its slowest lane, at this width."""
        if not turn.advance:
            return 0.0
        alone = (
            (each.boundary(turn.reports) - each.seen) / each.load.plan.length.examples * run_s(each.load.run)
            for each in self.lanes.values()
        )
        return float(max(alone, default=0.0) * turn.width ** (1 - GAIN))

    def carry_out(self, turn: Turn, seconds: float, now: float) -> TurnResult:
        """What comes of an open turn that took so long and ends now."""
        if turn.probe is not None:
            return TurnResult(turn.number, rates=rates(turn.probe.most), turn_s=seconds)
        if turn.ends:
            return self._ended(turn, seconds)
        if not turn.advance:
            saved = tuple(self.snapshot(occupant) for occupant in self.lanes.values() if occupant.is_own)
            return TurnResult(turn.number, snapshots=(*self.saved_before, *saved), turn_s=seconds)
        reports: list[Report] = []
        finished: list[RunId] = []
        snapshots = list(self.saved_before)
        before = {each.load.run: each.seen for each in self.lanes.values()}
        after = dict(before)
        for lane, occupant in list(self.lanes.items()) * turn.reports:
            run = occupant.load.run
            self.advance(occupant)
            after[run] = occupant.seen
            reports.append(self._report(lane, occupant, turn.width, now))
            snapshots += self.saved(occupant, now)
            if occupant.finished:
                finished.append(run)
                del self.lanes[lane]
        spent = {run: Spent(train_s=seconds, examples=after[run] - seen) for run, seen in before.items()}
        return TurnResult(
            turn.number, tuple(reports), tuple(finished), (), tuple(snapshots), spent, turn_s=seconds
        )

    def _ended(self, turn: Turn, seconds: float) -> TurnResult:
        """Runs that end where they stand: a final checkpoint of each."""
        ends = {lane: each for lane, each in self.lanes.items() if each.load.run in turn.ends}
        for lane in ends:
            del self.lanes[lane]
        return TurnResult(
            turn.number,
            finished=tuple(each.load.run for each in ends.values()),
            snapshots=(
                *self.saved_before,
                *(self.snapshot(each, final=True) for each in ends.values() if each.is_own),
            ),
            turn_s=seconds,
        )

    def advance(self, occupant: Occupant) -> None:
        """Train a run to its next boundary."""
        occupant.seen = occupant.boundary(1)

    def _report(self, lane: int, occupant: Occupant, width: int, now: float) -> Report:
        run, plan = occupant.load.run, occupant.load.plan
        return Report(
            trial=run.trial,
            replicate=run.replicate,
            examples=occupant.seen,
            epoch=0.0,
            updates=0,
            metrics=self.metrics(run, occupant.seen / plan.length.examples),
            attempt=occupant.load.attempt,
            width=width,
            lane=lane,
            host=self.host,
            time=now,
        )


def rates(most: int) -> dict[int, float]:
    """Examples per second at each width up to `most`, in doublings."""
    widths = [1]
    while widths[-1] * 2 <= most:
        widths.append(widths[-1] * 2)
    return {width: width**GAIN for width in widths}


def stands_at(load: Load) -> int:
    """How many examples a run has seen when it is loaded: what its checkpoint's name says."""
    if load.checkpoint is None:
        return 0
    name = CheckpointName.parse("/".join(PurePath(load.checkpoint).parts[-4:]))
    if name is None or not is_passed(load.plan, name.trial, name.examples):
        raise ValueError(f"{load.checkpoint} is no checkpoint of {load.run}")
    return name.examples
