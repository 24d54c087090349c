"""A slot's side: loads the task, drives `train_core`, and says what came of each turn.

`Worker` is a plain object; an executor puts it into an actor or calls it directly. MLX is touched by
`turn` alone, always from one thread; snapshot files are read and written through `spool`, which touches
no MLX. Run as a program it describes a task for the driver: a JSON request in, a JSON answer out.
"""

from __future__ import annotations

import math
import socket
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import mlx.core as mx

import train_core
from sweep.vocabulary.trial import Report, RunId, Signature, Snapshot, TrialPlan
from sweep.vocabulary.turn import Load, Probe, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker import width_cache
from sweep.worker.memory_guard import MemoryGuard, resident_bytes
from sweep.worker.spool import Spool
from sweep.worker.task_loading import TaskLoadError, load_task, source_hash
from train_core import device, keys
from train_core.lanes import width

MEMORY_SHARE = 0.6
"""How much of the device's memory populations may take, all slots together: the rest is the system's."""

GUARD_SHARE = 0.9
"""Above this much, divided by the slots, a worker's turn is ended as out of memory."""

FIRST_MICRO_BATCHES = 64
"""How far an advance goes before anything is known of its speed, and at least."""


@dataclass(frozen=True)
class WorkerInfo:
    """Where a worker runs, and what it may use of the memory there."""

    host: str
    chip: str
    memory_bytes: int = 0


@dataclass
class _Occupant:
    """The run in a lane: what loaded it, when it was last saved, what it has spent in this turn.

    `best` is the best objective that it has reported since it was loaded, greater being better.
    """

    load: Load
    saved_at: float
    spent: Spent = field(default_factory=Spent)
    best: float = -math.inf

    @property
    def run(self) -> RunId:
        return self.load.run


class Worker:
    """One slot: at most one population at a time; programs stay compiled for as long as it lives."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.spool = Spool()
        self._settings = settings
        self._host = socket.gethostname()
        self._task: Any = None
        self._data: train_core.DeviceDataset | None = None
        self._step_s: float | None = None
        self._programs: dict[Signature, train_core.Program] = {}
        self._signature: Signature | None = None
        self._population: train_core.Population | None = None
        self._lanes: dict[int, _Occupant] = {}
        self._idle_since: float | None = None
        host_bytes = min(device.memory_bytes(), settings.host_bytes or device.memory_bytes())
        share_bytes = host_bytes / settings.slots
        self._memory_bytes = MEMORY_SHARE * share_bytes
        self._limit_bytes = settings.limit_bytes or GUARD_SHARE * share_bytes
        self._guard = MemoryGuard(self._limit_bytes, _memory_in_use)
        self._notes: list[str] = []

    def info(self) -> WorkerInfo:
        return WorkerInfo(self._host, device.chip(), int(self._limit_bytes))

    def turn(self, turn: Turn) -> TurnResult:
        """Carry out one turn. A failure of the turn as a whole loses its lanes and comes back as `error`."""
        began = time.perf_counter()
        try:
            with self._guard.watching():
                result = self._carry_out(turn, began)
        except Exception as error:
            # Whatever the task's code raises is its trials' failure, and the scheduler decides whose.
            self._forget_lanes()
            over = self._guard.found is not None
            reason = self._guard.explain() if over else _explain(error)
            out_of_memory = over or width.is_out_of_memory(error)
            result = TurnResult(turn.number, error=reason, out_of_memory=out_of_memory)
        self._idle_since = time.perf_counter()
        notes, self._notes = tuple(self._notes), []
        return replace(result, turn_s=self._idle_since - began, notes=notes)

    def close(self) -> None:
        self._guard.close()
        self.spool.close()

    def _carry_out(self, turn: Turn, began: float) -> TurnResult:
        self._enter_idle_time(began)
        if turn.probe is not None:
            self._forget_lanes()
            return TurnResult(turn.number, rates=self._measure(turn, turn.probe))
        population = self._open(turn)
        if population is None:
            return TurnResult(turn.number)
        for lane in (*turn.drops, *(load.lane for load in turn.loads)):
            if self._lanes.pop(lane, None) is not None:
                population.unload(lane)
        for load in turn.loads:
            self._load(population, load)
        if not turn.advance:
            return TurnResult(turn.number, snapshots=tuple(self._save_all(sorted(self._lanes))))
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
            program = self._program(turn.signature, turn.loads[0].plan)
            self._population = train_core.Population(program, turn.width)
        else:
            return None
        self._signature = turn.signature
        self._lanes.update(occupants)
        return self._population

    def _program(self, signature: Signature, plan: TrialPlan) -> train_core.Program:
        if self._task is None:
            self._task = load_task(self._settings.task)
            self._data = train_core.DeviceDataset.of(self._task)
        if signature not in self._programs:
            static, _ = train_core.split(plan.hyperparameters, self._task.static)
            self._programs[signature] = train_core.Program(self._task, static, self._data)
        return self._programs[signature]

    def _measure(self, turn: Turn, probe: Probe) -> dict[int, float]:
        """Examples per second at each width worth having: from the host's cache, or measured now."""
        program = self._program(turn.signature, probe.plan)
        kept = width_cache.path_for(width.cache_key(program), source_hash(self._settings.task))
        choice = _decoded(width_cache.read(kept))
        if choice is None or (choice.stopped_early and choice.table[-1].width < probe.most):
            choice = train_core.best_width(
                program,
                probe.plan.hyperparameters,
                limit_bytes=self._memory_bytes,
                most=probe.most,
                examples=probe.examples,
            )
            width_cache.write(kept, width.encode(choice))
        return {row.width: row.examples_per_s for row in choice.table if row.width <= probe.most}

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
        self._lanes[load.lane] = _Occupant(load, saved_at=time.perf_counter())

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
            advance = population.advance(self._micro_batches_to_next_save())
            self._enter_spent(advance, population.program.static.micro_batch_size)
            for report in advance.reports:
                awaited.discard(report.lane)
                run = self._lanes[report.lane].run
                if report.error is not None:
                    failures.append(RunFailure(run, report.error))
                else:
                    reports.append(self._report(turn, report))
                    snapshots += self._save_report(report)
                if report.finished and report.error is None:
                    finished.append(run)
                if report.finished or report.error is not None:
                    population.unload(report.lane)
                    del self._lanes[report.lane]
            snapshots += self._save_all(self._due())
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

    def _micro_batches_to_next_save(self) -> int | None:
        """How many micro-batches fit before the next snapshot falls due; None where there are none."""
        every_s = self._settings.snapshot_every_s
        if every_s is None or not self._lanes:
            return None
        if self._step_s is None:
            return FIRST_MICRO_BATCHES
        oldest = min(occupant.saved_at for occupant in self._lanes.values())
        left_s = oldest + every_s - time.perf_counter()
        return max(FIRST_MICRO_BATCHES, int(left_s / max(self._step_s, 1e-6)))

    def _due(self) -> list[int]:
        every_s = self._settings.snapshot_every_s
        if every_s is None:
            return []
        now = time.perf_counter()
        return [lane for lane, occupant in self._lanes.items() if now - occupant.saved_at >= every_s]

    def _save_report(self, report: train_core.LaneReport) -> list[Snapshot]:
        """What is saved where a run has reported: its end, and its best report if that is wanted."""
        settings, occupant = self._settings, self._lanes[report.lane]
        metric, direction = settings.objective or ("", "")
        sign = 1 if direction == "maximize" else -1
        value = report.metrics.get(metric)
        better = value is not None and sign * value > occupant.best
        if value is not None and better:
            occupant.best = sign * value
        if report.finished and settings.keep_final:
            return self._save_all([report.lane], final=True, value=value)
        if better and settings.keep_best_report:
            return self._save_all([report.lane], value=value)
        return []

    def _save_all(
        self, lanes: Iterable[int], *, final: bool = False, value: float | None = None
    ) -> list[Snapshot]:
        """Snapshots of some lanes; training goes on where the disk refuses one."""
        saved = []
        for lane in lanes:
            try:
                saved.append(replace(self._save(lane), final=final, value=value))
            except (OSError, RuntimeError) as error:  # MLX says RuntimeError where it cannot write
                self._lanes[lane].saved_at = time.perf_counter()
                run = self._lanes[lane].run
                self._notes.append(f"trial {run.trial} was not saved on {self._host}: {error}")
        return saved

    def _save(self, lane: int) -> Snapshot:
        assert self._population is not None
        began = time.perf_counter()
        occupant = self._lanes[lane]
        checkpoint = self._population.snapshot(lane)
        path = self.spool.path_for(occupant.run, checkpoint.examples)
        sha256 = train_core.save(path, checkpoint)
        now = time.perf_counter()
        occupant.saved_at = now
        spent_s = occupant.spent.checkpoint_s + now - began
        occupant.spent = replace(occupant.spent, checkpoint_s=spent_s)
        return Snapshot(
            trial=occupant.run.trial,
            replicate=occupant.run.replicate,
            examples=checkpoint.examples,
            path=str(path),
            bytes=path.stat().st_size,
            sha256=sha256,
        )


def _decoded(kept: Any) -> train_core.WidthChoice | None:
    """A choice as the cache has it; None where it has none that can be read."""
    try:
        return width.decode(kept) if kept is not None else None
    except ValueError:
        return None


def _length(plan: TrialPlan) -> train_core.Length:
    return train_core.Length(plan.length.examples, plan.length.report_every, plan.length.horizon)


def run_key(plan: TrialPlan, replicate: int) -> Any:
    """The key of one run: fold_in(fold_in(key(seed), number), replicate); uint32 (2,)."""
    number = plan.number if plan.key_number is None else plan.key_number
    return keys.fold_in(keys.fold_in(keys.key(plan.seed), number), replicate)


def _check_is_of(load: Load, checkpoint: train_core.Checkpoint) -> None:
    """Raises CheckpointError where a checkpoint is of another run: to go on from it would be a silent mix."""
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


def _memory_in_use() -> int:
    """What counts towards a worker's limit; an Apple GPU's buffers are not resident memory."""
    on_gpu = mx.get_active_memory() + mx.get_cache_memory() if mx.metal.is_available() else 0
    return max(resident_bytes(), on_gpu)
