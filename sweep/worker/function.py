"""A function as a worker's content: one trial at a time, a report for each value that it yields.

The function is a generator, which the worker asks for its next report when the trial may continue: pruning
closes it, and there is no thread and no channel back. A function that returns a value reports once.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import mlx.core as mx

from sweep.errors import CheckpointError
from sweep.vocabulary.trial import UNBOUNDED, Snapshot
from sweep.vocabulary.turn import Load, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker import packed_folder
from sweep.worker.content import Occupant, report_of
from sweep.worker.function_report import Reported, ReportError, explain, reported
from sweep.worker.function_trial import Trial
from sweep.worker.snapshots import objective_at
from sweep.worker.spool import Spool
from sweep.worker.task_loading import load_function

SAVE_EVERY_S = 0.25
"""What a function saves is taken this often at most."""

SAVE_SHARE = 20
"""Saving may take one part in so many of a trial's time."""


@dataclass
class _Call:
    """A trial that is loaded: what its function was given, and its generator once it has begun.

    `examples` is where this attempt last reported, `resumed` where its checkpoint stands; `packed` is the
    state of its folder that was last saved, which took `pack_s`.
    """

    occupant: Occupant
    trial: Trial
    folder: Path
    reports: Generator[Any, None, Any] | None = None
    examples: int = 0
    resumed: int = 0
    packed: object = ()
    pack_s: float = 0.0

    @property
    def seen(self) -> int:
        """How many examples it has seen, over all attempts."""
        return max(self.examples, self.resumed)


class Function:
    """The one trial of a worker whose study's `task` is a function."""

    def __init__(self, settings: WorkerSettings, spool: Spool) -> None:
        self._settings = settings
        self._spool = spool
        self._function: Callable[[Trial], Any] | None = None
        self._call: _Call | None = None
        self._notes: list[str] = []

    def carry_out(self, turn: Turn, waited_s: float) -> TurnResult:
        """End a trial that is dropped, begin one that is loaded, take its next report."""
        if self._call is not None:
            self._call.occupant.spent = Spent(idle_s=waited_s)
        if turn.drops or turn.loads:
            self._end()
        for load in turn.loads:
            self._begin(load)
        call = self._call
        if call is None:
            return TurnResult(turn.number)
        if not turn.advance:
            return TurnResult(turn.number, snapshots=tuple(self._save(call)))
        return self._advance(turn, call)

    def forget(self) -> None:
        """Close the generator and remove the trial's folder."""
        self._end()

    def take_notes(self) -> tuple[str, ...]:
        """What went wrong beside training since the last time."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def close(self) -> None:
        self._end()

    def _begin(self, load: Load) -> None:
        folder = self._spool.folder / f"trial-{load.plan.number}-{load.replicate}-{load.attempt}"
        _remove(folder)
        call = _Call(Occupant(load, saved_at=-inf), Trial(load, folder), folder)
        if load.checkpoint is not None:
            folder.mkdir(parents=True)
            facts = packed_folder.unpack(Path(load.checkpoint), folder)
            if facts.get("run") != _run_text(load):
                raise CheckpointError(
                    f"{load.checkpoint}: is of another run than trial {load.plan.number}, "
                    f"replicate {load.replicate}"
                )
            call.resumed, call.packed = int(facts["examples"]), _state(folder)
        self._call = call

    def _end(self) -> None:
        """Close the trial's generator; what it does about that is worth a note at most."""
        call, self._call = self._call, None
        if call is None:
            return
        if call.reports is not None:
            try:
                call.reports.close()
            except Exception as error:
                what = f"trial {call.trial.number} did not end when it was closed"
                self._notes.append(f"{what}: {explain(error)[0]}")
        _remove(call.folder)

    def _advance(self, turn: Turn, call: _Call) -> TurnResult:
        began = time.perf_counter()
        mx.reset_peak_memory()
        try:
            found, is_over = self._next(call)
            report = self._reported(found, call) if found is not None else None
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:  # a function that exits must not take the worker with it
            result = self._failed(turn, call, error, time.perf_counter() - began)
            self._end()
            return result
        self._spend(call, time.perf_counter() - began, report)
        reports = []
        if report is not None:
            call.examples = report.examples
            reports.append(report_of(call.occupant.load, turn, report, lane=0))
            is_over = is_over or report.examples >= call.occupant.load.plan.length.examples
        snapshots = self._save_report(call, report, is_over)
        run, spent = call.occupant.run, call.occupant.spent
        if is_over:
            self._end()
        return TurnResult(
            turn.number,
            reports=tuple(reports),
            finished=(run,) if is_over else (),
            snapshots=tuple(snapshots),
            spent={run: spent},
        )

    def _reported(self, found: Any, call: _Call) -> Reported:
        objective = self._settings.objective[0] if self._settings.objective else None
        return reported(found, after=call.examples, objective=objective)

    def _next(self, call: _Call) -> tuple[Any, bool]:
        """What the function yields or returns next, None where that is nothing; whether it has ended."""
        if call.reports is None:
            value: Any = self._load_function()(call.trial)
            if value is None:
                raise ReportError(
                    "the function returned nothing. Return the objective's value, or yield reports"
                )
            if not isinstance(value, Generator):
                return _returned(value, call), True
            call.reports = value
        try:
            return next(call.reports), False
        except StopIteration as end:
            return (_returned(end.value, call) if end.value is not None else None), True

    def _load_function(self) -> Callable[[Trial], Any]:
        if self._function is None:
            self._function = load_function(self._settings.task)
        return self._function

    def _failed(self, turn: Turn, call: _Call, error: BaseException, spent_s: float) -> TurnResult:
        self._spend(call, spent_s, None)
        first, text = explain(error)
        reason = first if isinstance(error, ReportError) else f"{first}\n{text}"
        run = call.occupant.run
        return TurnResult(turn.number, failures=(RunFailure(run, reason),), spent={run: call.occupant.spent})

    def _spend(self, call: _Call, train_s: float, report: Reported | None) -> None:
        spent = call.occupant.spent
        call.occupant.spent = replace(
            spent,
            train_s=spent.train_s + train_s,
            examples=max(0, report.examples - call.seen) if report is not None else 0,
            peak_memory_bytes=max(spent.peak_memory_bytes, mx.get_peak_memory()),
        )

    # Checkpoints

    def _save_report(self, call: _Call, report: Reported | None, is_over: bool) -> list[Snapshot]:
        """What is saved at a report: the end, the best report where that is wanted, or what is due."""
        settings, occupant = self._settings, call.occupant
        value, better = objective_at(settings, occupant, report.metrics if report is not None else {})
        if is_over:
            return self._save(call, final=True, value=value) if settings.keep_final else []
        if better and settings.keep_best_report:
            return self._save(call, value=value)
        every_s = settings.snapshot_every_s
        if call.trial.has_saved:  # asked for: as soon as it does not slow training down
            every_s = max(SAVE_EVERY_S, SAVE_SHARE * call.pack_s)
        if every_s is not None and time.perf_counter() - occupant.saved_at >= every_s:
            return self._save(call)
        return []

    def _save(self, call: _Call, *, final: bool = False, value: float | None = None) -> list[Snapshot]:
        """Pack the trial's folder, where the function has kept something in it since the last time."""
        state = _state(call.folder)
        if not state or (state == call.packed and not final and value is None):
            return []
        occupant, run = call.occupant, call.occupant.run
        began = time.perf_counter()
        path = self._spool.path_for(run, call.seen)
        facts = {"run": _run_text(occupant.load), "examples": str(call.seen)}
        try:
            sha256 = packed_folder.pack(call.folder, path, facts)
        except OSError as error:
            self._notes.append(f"trial {run.trial} was not saved on {socket.gethostname()}: {error}")
            return []
        call.packed, call.trial.has_saved, occupant.saved_at = state, False, time.perf_counter()
        call.pack_s = occupant.saved_at - began
        spent_s = occupant.spent.checkpoint_s + call.pack_s
        occupant.spent = replace(occupant.spent, checkpoint_s=spent_s)
        size = path.stat().st_size
        return [Snapshot(run.trial, run.replicate, call.seen, str(path), size, sha256, final, value)]


def _returned(value: Any, call: _Call) -> Mapping[str, Any]:
    """A returned value as a report: a number is the objective, at the trial's length or its next example."""
    length = call.occupant.load.plan.length.examples
    here = length if length < UNBOUNDED else call.examples + 1
    if isinstance(value, Mapping):
        return value if "examples" in value else {"examples": here, **value}
    return {"examples": here, None: value}  # type: ignore[dict-item]


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What lies in a folder, such that a file written again makes a difference."""
    if not folder.is_dir():  # most functions keep nothing
        return ()
    found = [(name, (folder / name).stat()) for name in packed_folder.files(folder)]
    return tuple((name.as_posix(), each.st_size, each.st_mtime_ns) for name, each in found)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)


def _run_text(load: Load) -> str:
    """What tells a run from all others of its study, as its key does."""
    plan = load.plan
    number = plan.number if plan.key_number is None else plan.key_number
    return f"{plan.seed} {number} {load.replicate}"
