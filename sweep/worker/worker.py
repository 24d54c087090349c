"""A slot's side: turns in, results out, over one population of lanes.

`Worker` is a plain object; an executor puts it into an actor or calls it directly. MLX is touched by
`turn` alone, always from one thread; snapshot files are read and written through `spool`, which touches
no MLX.
"""

from __future__ import annotations

import socket
import time
import traceback
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx

import train_core
from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot, TrialPlan
from sweep.vocabulary.turn import Load, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker.footprint import footprint_bytes
from sweep.worker.memory_guard import MemoryGuard
from sweep.worker.programs import Programs
from sweep.worker.snapshots import Occupant, Snapshots
from sweep.worker.spool import Spool
from sweep.worker.task_loading import TaskLoadError
from train_core import device, keys
from train_core.device_errors import is_device_lost, is_out_of_memory

MEMORY_SHARE = 0.6
"""How much of the device's memory populations may take, all slots together: the rest is the system's."""

CACHE_SHARE = 0.25
"""How much MLX may keep of what arrays have freed; by itself it keeps nearly all of the device's memory."""

GUARD_SHARE = 0.9
"""Above this much, divided by the slots, a worker's turn is ended as out of memory."""


@dataclass(frozen=True)
class WorkerInfo:
    """Where a worker runs, and what it may use of the memory there."""

    host: str
    chip: str
    memory_bytes: int = 0


class Worker:
    """One slot: at most one population at a time; programs stay compiled for as long as it lives."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.spool = Spool()
        self._host = socket.gethostname()
        self._step_s: float | None = None
        self._signature: Signature | None = None
        self._population: train_core.Population | None = None
        self._lanes: dict[int, Occupant] = {}
        self._idle_since: float | None = None
        host_bytes = min(device.memory_bytes(), settings.host_bytes or device.memory_bytes())
        share_bytes = host_bytes / settings.slots
        self._limit_bytes = settings.limit_bytes or GUARD_SHARE * share_bytes
        self._cache_before = mx.set_cache_limit(int(CACHE_SHARE * min(share_bytes, self._limit_bytes)))
        self._guard = MemoryGuard(self._limit_bytes, footprint_bytes, reclaim=mx.clear_cache)
        self._programs = Programs(settings.task, limit_bytes=MEMORY_SHARE * share_bytes)
        self._snapshots = Snapshots(settings, self.spool)

    def info(self) -> WorkerInfo:
        return WorkerInfo(self._host, device.chip(), int(self._limit_bytes))

    def turn(self, turn: Turn) -> TurnResult:
        """Carry out one turn. A failure of the turn as a whole loses its lanes and comes back as `error`."""
        began = time.perf_counter()
        try:
            with self._guard.watching():
                result = self._carry_out(turn, began)
        except Exception as error:
            # What the task's code raises is a failure of its trials; the scheduler decides of which.
            self._forget_lanes()
            result = self._failed(turn, error)
        self._idle_since = time.perf_counter()
        notes, self._snapshots.notes = tuple(self._snapshots.notes), []
        return replace(result, turn_s=self._idle_since - began, notes=notes)

    def close(self) -> None:
        self._guard.close()
        self.spool.close()
        mx.set_cache_limit(self._cache_before)

    def _failed(self, turn: Turn, error: Exception) -> TurnResult:
        if self._guard.found is not None:
            return TurnResult(turn.number, error=self._guard.explain(), out_of_memory=True)
        return TurnResult(
            turn.number,
            error=_explain(error),
            out_of_memory=is_out_of_memory(error),
            device_lost=is_device_lost(error),
        )

    def _carry_out(self, turn: Turn, began: float) -> TurnResult:
        self._enter_idle_time(began)
        if turn.probe is not None:
            self._forget_lanes()
            return TurnResult(turn.number, rates=self._programs.rates(turn.signature, turn.probe))
        population = self._open(turn)
        if population is None:
            return TurnResult(turn.number)
        for lane in (*turn.drops, *(load.lane for load in turn.loads)):
            if self._lanes.pop(lane, None) is not None:
                population.unload(lane)
        for load in turn.loads:
            self._load(population, load)
        if not turn.advance:
            saved = self._snapshots.save(population, self._lanes, sorted(self._lanes))
            return TurnResult(turn.number, snapshots=tuple(saved))
        return self._advance(turn, population)

    def _enter_idle_time(self, began: float) -> None:
        waited = began - self._idle_since if self._idle_since is not None else 0.0
        for occupant in self._lanes.values():
            occupant.spent = Spent(idle_s=waited)

    def _open(self, turn: Turn) -> train_core.Population | None:
        """The turn's population, a new one where the last was another; None where nothing would be in it."""
        old = self._population if turn.signature == self._signature else None
        if old is not None and old.width == turn.width and not turn.moves:
            return old
        moves = {lane: new for lane, new in turn.moves if lane in self._lanes} if old is not None else {}
        occupants = {new: self._lanes[lane] for lane, new in moves.items()}
        self._forget_lanes()
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

    def _forget_lanes(self) -> None:
        self._population, self._signature = None, None
        self._lanes.clear()

    def _load(self, population: train_core.Population, load: Load) -> None:
        plan = load.plan
        if load.checkpoint is None:
            key = run_key(plan, load.replicate)
            population.load(load.lane, key=key, hyperparameters=plan.hyperparameters, length=_length(plan))
        else:
            snapshot = train_core.load(load.checkpoint)
            _check_is_of(load, snapshot)
            population.restore(
                load.lane, snapshot, hyperparameters=plan.hyperparameters, length=_length(plan)
            )
        self._lanes[load.lane] = Occupant(load, saved_at=time.perf_counter())

    def _advance(self, turn: Turn, population: train_core.Population) -> TurnResult:
        """Train every lane to its next report, stopping in between where a snapshot falls due."""
        reports: list[Report] = []
        finished: list[RunId] = []
        failures: list[RunFailure] = []
        snapshots: list[Snapshot] = []
        awaited = set(self._lanes)
        occupants = dict(self._lanes)
        mx.reset_peak_memory()
        while awaited:
            micro_batches = self._snapshots.micro_batches_to_next(self._lanes, self._step_s)
            advance = population.advance(micro_batches)
            mx.synchronize()  # raises where the GPU failed: evaluating may not, and reports would be garbage
            self._enter_spent(advance, population.program.static.micro_batch_size)
            for report in advance.reports:
                awaited.discard(report.lane)
                run = self._lanes[report.lane].run
                if report.error is not None:
                    failures.append(RunFailure(run, report.error))
                else:
                    reports.append(self._report(turn, report))
                    snapshots += self._snapshots.save_report(population, self._lanes, report)
                if report.finished and report.error is None:
                    finished.append(run)
                if report.finished or report.error is not None:
                    population.unload(report.lane)
                    del self._lanes[report.lane]
            snapshots += self._snapshots.save_due(population, self._lanes)
        return TurnResult(
            turn.number,
            reports=tuple(reports),
            finished=tuple(finished),
            failures=tuple(failures),
            snapshots=tuple(snapshots),
            spent={occupant.run: occupant.spent for occupant in occupants.values()},
        )

    def _report(self, turn: Turn, report: train_core.LaneReport) -> Report:
        load = self._lanes[report.lane].load
        return Report(
            trial=load.plan.number,
            replicate=load.replicate,
            examples=report.examples,
            epoch=report.epoch,
            updates=report.updates,
            metrics=report.metrics,
            attempt=load.attempt,
            width=turn.width,
            lane=report.lane,
            host=self._host,
            time=time.time(),
        )

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


def _length(plan: TrialPlan) -> train_core.Length:
    return train_core.Length(plan.length.examples, plan.length.report_every, plan.length.horizon)


def run_key(plan: TrialPlan, replicate: int) -> Any:
    """The key of one run: fold_in(fold_in(key(seed), number), replicate); uint32 (2,)."""
    number = plan.number if plan.key_number is None else plan.key_number
    return keys.fold_in(keys.fold_in(keys.key(plan.seed), number), replicate)


def _check_is_of(load: Load, checkpoint: train_core.Checkpoint) -> None:
    """Raises CheckpointError where a checkpoint is of another run: resuming from it would mix the two."""
    if list(checkpoint.key) != run_key(load.plan, load.replicate).tolist():
        raise train_core.CheckpointError(
            f"{load.checkpoint}: is of another run than trial {load.plan.number}, replicate {load.replicate}"
        )


def _explain(error: Exception) -> str:
    """The error's own last line first, then where it came from."""
    text = "".join(traceback.format_exception(error)).rstrip()
    if isinstance(error, train_core.TrainingError | TaskLoadError):
        return str(error)
    return f"{type(error).__name__}: {error}\n{text}"
