"""Lanes of a population as a worker's content: many runs of a task's class in one compiled step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import mlx.core as mx

import train_core
from sweep.spec.population import stretches
from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot, TrialPlan
from sweep.vocabulary.turn import Load, Probe, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker.content import Occupant, PartlyDone, report_of, run_key
from sweep.worker.programs import Programs
from sweep.worker.snapshots import Snapshots
from sweep.worker.spool import Spool
from train_core.lanes.lane import Begun


@dataclass
class _Came:
    """What a turn has brought so far, of these runs."""

    turn: int
    occupants: Mapping[RunId, Occupant]
    reports: list[Report] = field(default_factory=list)
    finished: list[RunId] = field(default_factory=list)
    failures: list[RunFailure] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)

    def result(self) -> TurnResult:
        return TurnResult(
            self.turn,
            reports=tuple(self.reports),
            finished=tuple(self.finished),
            failures=tuple(self.failures),
            snapshots=tuple(self.snapshots),
            spent={run: each.spent for run, each in self.occupants.items()},
        )


class Lanes:
    """At most one population at a time; programs stay compiled for as long as it lives.

    `programs_bytes` is how much memory populations may take.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        spool: Spool,
        *,
        programs_bytes: float,
        is_cut_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_cut_short = is_cut_short
        self._step_s: float | None = None
        self._signature: Signature | None = None
        self._population: train_core.Population | None = None
        self._lanes: dict[int, Occupant] = {}
        self._programs = Programs(settings.task, limit_bytes=programs_bytes)
        self._snapshots = Snapshots(settings, spool)
        self._notes: list[str] = []

    def carry_out(self, turn: Turn, waited_s: float) -> TurnResult:
        """One turn of all lanes."""
        for occupant in self._lanes.values():
            occupant.spent = Spent(idle_s=waited_s)
        if turn.saving is not None:
            self._snapshots.saving = turn.saving
        if turn.probe is not None:
            self.forget()
            return self._probed(turn, turn.probe)
        saved = self._save(turn.saves)
        if turn.advance and self._lanes and self._is_cut_short():  # what was given before has not ended yet
            return TurnResult(turn.number, snapshots=tuple(saved))
        self._change(turn)
        if turn.ends:
            ended = self._ended(turn)
            return replace(ended, snapshots=(*saved, *ended.snapshots))
        if not turn.advance:
            return TurnResult(turn.number, snapshots=(*saved, *self._save(sorted(self._lanes))))
        population = self._open(turn)
        if population is None:
            return TurnResult(turn.number, snapshots=tuple(saved))
        for lane in (*turn.drops, *(load.lane for load in turn.loads)):
            if self._lanes.pop(lane, None) is not None:
                population.unload(lane)
        for load in turn.loads:
            self._load(population, load)
        result = self._advance(turn, population)
        return replace(result, snapshots=(*saved, *result.snapshots))

    def _save(self, lanes: Sequence[int]) -> list[Snapshot]:
        """Save those of the lanes whose state is one of their own run."""
        population = self._population
        if population is None:
            return []
        own = [lane for lane in lanes if lane in self._lanes and self._is_own(population, lane)]
        return self._snapshots.save(population, self._lanes, own)

    def _is_own(self, population: train_core.Population, lane: int) -> bool:
        """Whether a lane's state is one of its own run: it is not on the way there from another's."""
        plan = self._lanes[lane].load.plan
        return not plan.past or stretches.is_own(plan, _seen(population, lane))

    def _change(self, turn: Turn) -> None:
        """Copy and change lanes as the turn says: all at once, by what they were before."""
        population = self._population
        if population is None or not turn.changes:
            return
        sources = {each.lane: each.source for each in turn.changes if each.source is not None}
        if sources:
            population.copy(sources)
        for change in turn.changes:
            occupant = self._lanes[change.lane]
            occupant.load = replace(occupant.load, plan=change.plan)
            population.change(change.lane, change.plan.hyperparameters)
            occupant.stretch = len(change.plan.past)

    def _begin_stretches(self, population: train_core.Population) -> None:
        """Begin the next stretch of runs that train a lineage, where they have come to it."""
        for lane, occupant in self._lanes.items():
            plan = occupant.load.plan
            place = stretches.place_after(plan, _seen(population, lane)) if plan.past else occupant.stretch
            if place == occupant.stretch:
                continue
            before, now = plan.stretches[occupant.stretch], plan.stretches[place]
            if now.trial != before.trial:
                population.rekey(lane, run_key(plan, occupant.load.replicate, now.trial))
            population.change(lane, now.hyperparameters)
            occupant.stretch = place

    def _probed(self, turn: Turn, probe: Probe) -> TurnResult:
        choice = self._programs.widths(turn.signature, probe)
        self._notes.append(f"lanes: {choice.width} train fastest; limit: {choice.limited_by}")
        rates = {row.width: row.examples_per_s for row in choice.table if row.width <= probe.most}
        return TurnResult(turn.number, rates=rates)

    def _ended(self, turn: Turn) -> TurnResult:
        """End runs where they stand, each with its final snapshot; the others are left as they are."""
        population = self._population
        ends = {lane: each for lane, each in self._lanes.items() if each.run in turn.ends}
        saved: list[Snapshot] = []
        if population is not None:
            if self._snapshots.saving.final:
                own = [lane for lane in ends if self._is_own(population, lane)]
                saved = self._snapshots.save(population, self._lanes, own, final=True)
            for lane in (*ends, *turn.drops):
                if self._lanes.pop(lane, None) is not None:
                    population.unload(lane)
        spent = {each.run: each.spent for each in ends.values()}
        return TurnResult(turn.number, finished=tuple(spent), snapshots=tuple(saved), spent=spent)

    def forget(self) -> None:
        """Give up the population and all its lanes."""
        self._population, self._signature = None, None
        self._lanes.clear()

    def used_bytes(self) -> int:
        return 0

    def take_notes(self) -> tuple[str, ...]:
        """What was measured and what could not be saved since the last time."""
        notes = (*self._notes, *self._snapshots.notes)
        self._notes, self._snapshots.notes = [], []
        return notes

    def close(self) -> None:
        """Nothing to do: arrays go with the object."""

    def _open(self, turn: Turn) -> train_core.Population | None:
        """The turn's population, a new one where the last was another; None where nothing would be in it."""
        old = self._population if turn.signature == self._signature else None
        if old is not None and old.width == turn.width and not turn.moves:
            return old
        moves = {lane: new for lane, new in turn.moves if lane in self._lanes} if old is not None else {}
        occupants = {new: self._lanes[lane] for lane, new in moves.items()}
        self.forget()
        if old is not None and moves:
            self._population = old.moved(turn.width, moves)
        elif turn.loads:
            program = self._programs.get(turn.signature, turn.loads[0].plan)
            self._population = train_core.Population(program, turn.width)
        else:
            return None
        self._signature = turn.signature
        self._lanes.update(occupants)
        return self._population

    def _load(self, population: train_core.Population, load: Load) -> None:
        plan = load.plan
        snapshot = None if load.checkpoint is None else train_core.load(load.checkpoint)
        place = 0 if snapshot is None else stretches.place_to(plan, snapshot.examples)
        stretch = plan.stretches[place]
        key = run_key(plan, load.replicate, stretch.trial)
        hyperparameters, length = stretch.hyperparameters, _length(plan)
        if snapshot is None:
            population.load(load.lane, key=key, hyperparameters=hyperparameters, length=length)
        else:
            _check_is_of(load, snapshot, key)
            micro_batch = population.program.static.micro_batch_size
            begun = Begun.after(stretches.accumulations(plan, place, micro_batch))
            population.restore(
                load.lane, snapshot, hyperparameters=hyperparameters, length=length, begun=begun
            )
        self._lanes[load.lane] = Occupant(load, saved_at=time.perf_counter(), stretch=place)

    def _advance(self, turn: Turn, population: train_core.Population) -> TurnResult:
        """Train every lane for the turn's reports, looking up in between: a snapshot or the end may be due.

        Raises PartlyDone where it fails after the first of them.
        """
        came = _Came(turn.number, {each.run: each for each in self._lanes.values()})
        awaited = Counter(dict.fromkeys(self._lanes, turn.reports))
        mx.reset_peak_memory()
        try:
            while awaited and not self._is_cut_short():
                self._begin_stretches(population)
                for report in self._advanced(population):
                    awaited[report.lane] -= 1
                    if awaited[report.lane] <= 0 or report.finished or report.error is not None:
                        del awaited[report.lane]
                    self._enter(turn, population, report, came)
                own = {lane: each for lane, each in self._lanes.items() if self._is_own(population, lane)}
                came.snapshots += self._snapshots.save_due(population, own)
        except Exception as error:
            if came.reports:
                raise PartlyDone(came.result()) from error
            raise
        return came.result()

    def _advanced(self, population: train_core.Population) -> Sequence[train_core.LaneReport]:
        """Train until a lane reports, or one may have to be saved."""
        advance = population.advance(self._snapshots.micro_batches_to_next(self._lanes, self._step_s))
        mx.synchronize()  # raises where the GPU failed: evaluating may not, and reports would be garbage
        self._enter_spent(advance, population.program.static.micro_batch_size)
        return advance.reports

    def _enter(
        self, turn: Turn, population: train_core.Population, report: train_core.LaneReport, came: _Came
    ) -> None:
        """Enter what a lane reports; one whose run has ended is free."""
        lane, occupant = report.lane, self._lanes[report.lane]
        if report.error is not None:
            came.failures.append(RunFailure(occupant.run, report.error, diverged=report.diverged))
        else:
            tokens_per_s = _tokens_per_s(occupant, report)
            came.reports.append(report_of(occupant.load, turn, report, lane=lane, tokens_per_s=tokens_per_s))
            if self._is_own(population, lane):
                came.snapshots += self._snapshots.save_report(population, self._lanes, report)
            if report.finished:
                came.finished.append(occupant.run)
        if report.finished or report.error is not None:
            population.unload(lane)
            del self._lanes[lane]

    def _enter_spent(self, advance: train_core.Advance, micro_batch_size: int) -> None:
        """A lane's time is the population's: all lanes are in the same step. Traces go to the first."""
        if advance.micro_batches:
            self._step_s = advance.train_s / advance.micro_batches
        first = min(self._lanes, default=None)
        for lane, occupant in self._lanes.items():
            spent = occupant.spent
            occupant.spent = replace(
                spent,
                compile_s=spent.compile_s + advance.compile_s,
                train_s=spent.train_s + advance.train_s,
                evaluate_s=spent.evaluate_s + advance.evaluate_s,
                examples=spent.examples + advance.micro_batches * micro_batch_size,
                traces=spent.traces + (advance.traces if lane == first else 0),
                peak_memory_bytes=max(spent.peak_memory_bytes, mx.get_peak_memory()),
            )


def _tokens_per_s(occupant: Occupant, report: train_core.LaneReport) -> float | None:
    """How many tokens a run trains on in a second; None where its task counts none.

    Those of its interval, in the time that as many examples took in this turn: it may have begun between.
    """
    tokens, spent = report.metrics.get("train_tokens"), occupant.spent
    if tokens is None or not spent.train_s:
        return None
    every = occupant.load.plan.length.report_every
    examples = report.examples - (report.examples - 1) // every * every
    return tokens / examples * spent.examples / spent.train_s


def _length(plan: TrialPlan) -> train_core.Length:
    return train_core.Length(plan.length.examples, plan.length.report_every, plan.length.horizon)


def _seen(population: train_core.Population, lane: int) -> int:
    """How many examples a lane's run has seen, in whole micro-batches."""
    return population.done(lane) * population.program.static.micro_batch_size


def _check_is_of(load: Load, checkpoint: train_core.Checkpoint, key: mx.array) -> None:
    """Raises CheckpointError where a checkpoint is of another run: resuming from it would mix the two."""
    if list(checkpoint.key) != key.tolist():
        raise train_core.CheckpointError(
            f"{load.checkpoint}: is of another run than trial {load.plan.number}, replicate {load.replicate}"
        )
