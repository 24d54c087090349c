"""One trial at a time as a worker's content: a report a turn, and a folder that is its checkpoint.

What runs the trial is a session, a function's or a command's. It is asked for the next report when the trial
may continue, and closed when it is pruned: there is no thread and no channel back.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, Protocol

from sweep.errors import CheckpointError
from sweep.vocabulary.trial import RunId, Snapshot
from sweep.vocabulary.turn import Load, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker.content import Occupant, report_of
from sweep.worker.single import packed_folder
from sweep.worker.single.function_report import Reported, ReportError, explain, reported
from sweep.worker.snapshots import objective_at
from sweep.worker.spool import Spool

SAVE_EVERY_S = 0.25
"""What a session has asked to be saved is taken this often at most."""

SAVE_SHARE = 20
"""Saving may take one part in so many of a trial's time."""


class Session(Protocol):
    """One trial that runs. `has_saved`: it asks for a checkpoint, and sets it back once one is taken."""

    has_saved: bool

    def next(self, seen: int) -> tuple[Mapping[Any, Any] | None, bool]:
        """The next report, None where there is none yet or none any more; and whether the trial has ended.

        `seen` is where this attempt reported last, in examples. What it raises fails the trial.
        """

    def is_whole(self, folder: Path) -> bool:
        """Whether what lies in the folder now can be a checkpoint."""

    def rest(self) -> None:
        """The study stops: leave in the folder what the trial resumes from."""

    def close(self) -> str | None:
        """End it; what went wrong about that, in words."""

    def peak_bytes(self) -> int:
        """The most memory that it took since it was last asked."""

    def used_bytes(self) -> int:
        """The memory that its processes take now, beside the worker's own."""

    def take_output(self) -> bytes:
        """What it printed since the last time, where that is kept."""


@dataclass
class _Call:
    """A trial that is loaded: its session, and the folder that is kept with it.

    `examples` is where this attempt last reported, `resumed` where its checkpoint stands; `packed` is the
    state of its folder that was last saved, which took `pack_s`.
    """

    occupant: Occupant
    session: Session
    folder: Path
    examples: int = 0
    resumed: int = 0
    packed: object = ()
    pack_s: float = 0.0

    @property
    def seen(self) -> int:
        """How many examples it has seen, over all attempts."""
        return max(self.examples, self.resumed)


class OneTrial:
    """The one trial of a worker; `begin` makes the session of a run in its folder, resumed where it says."""

    def __init__(
        self,
        settings: WorkerSettings,
        spool: Spool,
        begin: Callable[[Load, Path, int], Session],
        *,
        is_cut_short: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._make = begin
        self._is_cut_short = is_cut_short
        self._call: _Call | None = None
        self._notes: list[str] = []
        self._printed: dict[RunId, bytes] = {}

    def carry_out(self, turn: Turn, waited_s: float) -> TurnResult:
        """End a trial that is dropped, begin one that is loaded, take its next report."""
        if self._call is not None:
            self._call.occupant.spent = Spent(idle_s=waited_s)
        if turn.drops or turn.loads:
            self._end()
        for load in turn.loads:
            self._begin(load)
        result = self._carried_out(turn)
        if self._call is not None:
            self._print(self._call)
        printed, self._printed = self._printed, {}
        return replace(result, output=printed) if printed else result

    def _carried_out(self, turn: Turn) -> TurnResult:
        call = self._call
        if call is None or (turn.advance and self._is_cut_short()):
            return TurnResult(turn.number)
        if not turn.advance:
            call.session.rest()
            return TurnResult(turn.number, snapshots=tuple(self._save(call)))
        return self._advance(turn, call)

    def forget(self) -> None:
        """Close the session and remove the trial's folder."""
        self._end()

    def used_bytes(self) -> int:
        """The memory of the trial's own processes."""
        call = self._call
        return 0 if call is None else call.session.used_bytes()

    def take_notes(self) -> tuple[str, ...]:
        """What went wrong beside training since the last time."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def close(self) -> None:
        self._end()

    def _begin(self, load: Load) -> None:
        folder = self._spool.folder / f"trial-{load.plan.number}-{load.replicate}-{load.attempt}"
        _remove(folder)
        resumed, packed = 0, _state(folder)
        if load.checkpoint is not None:
            folder.mkdir(parents=True)
            facts = packed_folder.unpack(Path(load.checkpoint), folder)
            if facts.get("run") != _run_text(load):
                raise CheckpointError(
                    f"{load.checkpoint}: is of another run than trial {load.plan.number}, "
                    f"replicate {load.replicate}"
                )
            resumed, packed = int(facts["examples"]), _state(folder)
        session = self._make(load, folder, resumed)
        occupant = Occupant(load, saved_at=-inf)
        self._call = _Call(occupant, session, folder, resumed=resumed, packed=packed)

    def _end(self) -> None:
        """Close the trial's session; what goes wrong about that is worth a note at most."""
        call, self._call = self._call, None
        if call is None:
            return
        note = call.session.close()
        self._print(call)
        if note is not None:
            self._notes.append(f"trial {call.occupant.run.trial} {note}")
        _remove(call.folder)

    def _advance(self, turn: Turn, call: _Call) -> TurnResult:
        began = time.perf_counter()
        try:
            found, is_over = call.session.next(call.examples)
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

    def _reported(self, found: Mapping[Any, Any], call: _Call) -> Reported:
        objective = self._settings.objective[0] if self._settings.objective else None
        return reported(found, after=call.examples, objective=objective)

    def _failed(self, turn: Turn, call: _Call, error: BaseException, spent_s: float) -> TurnResult:
        self._spend(call, spent_s, None)
        first, text = explain(error)
        reason = first if isinstance(error, ReportError) else f"{first}\n{text}"
        run = call.occupant.run
        return TurnResult(turn.number, failures=(RunFailure(run, reason),), spent={run: call.occupant.spent})

    def _print(self, call: _Call) -> None:
        """Take what the session has printed, for the next answer."""
        run = call.occupant.run
        if text := call.session.take_output():
            self._printed[run] = self._printed.get(run, b"") + text

    def _spend(self, call: _Call, train_s: float, report: Reported | None) -> None:
        spent = call.occupant.spent
        call.occupant.spent = replace(
            spent,
            train_s=spent.train_s + train_s,
            examples=max(0, report.examples - call.seen) if report is not None else 0,
            peak_memory_bytes=max(spent.peak_memory_bytes, call.session.peak_bytes()),
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
        if call.session.has_saved:  # asked for: as soon as it does not slow training down
            every_s = max(SAVE_EVERY_S, SAVE_SHARE * call.pack_s)
        is_due = every_s is not None and time.perf_counter() - occupant.saved_at >= every_s
        return self._save(call) if is_due and call.session.is_whole(call.folder) else []

    def _save(self, call: _Call, *, final: bool = False, value: float | None = None) -> list[Snapshot]:
        """Pack the trial's folder, where something was kept in it since the last time."""
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
        if _state(call.folder) != state:  # written to meanwhile: parts of two checkpoints are none
            path.unlink()
            return []
        call.packed, call.session.has_saved, occupant.saved_at = state, False, time.perf_counter()
        call.pack_s = occupant.saved_at - began
        spent_s = occupant.spent.checkpoint_s + call.pack_s
        occupant.spent = replace(occupant.spent, checkpoint_s=spent_s)
        size = path.stat().st_size
        return [Snapshot(run.trial, run.replicate, call.seen, str(path), size, sha256, final, value)]


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What lies in a folder, such that a file written again makes a difference."""
    if not folder.is_dir():  # most functions keep nothing
        return ()
    state = []
    for name in packed_folder.files(folder):
        try:
            found = (folder / name).stat()
        except FileNotFoundError:  # a command renamed it just now
            continue
        state.append((name.as_posix(), found.st_size, found.st_mtime_ns))
    return tuple(state)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)


def _run_text(load: Load) -> str:
    """What tells a run from all others of its study, as its key does."""
    plan = load.plan
    number = plan.number if plan.key_number is None else plan.key_number
    return f"{plan.seed} {number} {load.replicate}"
