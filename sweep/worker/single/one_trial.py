"""One trial at a time as a worker's content: a report a turn, and a folder that is its checkpoint.

What runs the trial is a session, a function's or a command's. It is asked for the next report when the trial
may continue, and closed when it is pruned: there is no thread and no channel back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from sweep.vocabulary.trial import Report, RunId, Snapshot
from sweep.vocabulary.turn import Load, RunFailure, Spent, Turn, TurnResult, WorkerSettings
from sweep.worker.content import Occupant, report_of
from sweep.worker.single.function_report import Reported, ReportError, explain, reported
from sweep.worker.single.saved_folder import SavedFolder
from sweep.worker.single.saving import Saving
from sweep.worker.single.session import Call, Session
from sweep.worker.spool import Spool


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
        self._call: Call | None = None
        self._saving = Saving(settings, spool)
        self._printed: dict[RunId, bytes] = {}

    def carry_out(self, turn: Turn, waited_s: float) -> TurnResult:
        """End a trial that is dropped, begin one that is loaded, take its next report."""
        if self._call is not None:
            self._call.occupant.spent = Spent(idle_s=waited_s)
        if turn.saving is not None:
            self._saving.saving = turn.saving
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
        if turn.ends and call.occupant.run not in turn.ends:
            return TurnResult(turn.number)
        return self._advance(turn, call) if turn.advance else self._rested(turn, call)

    def forget(self) -> None:
        """Close the session and remove the trial's folder."""
        self._end()

    def used_bytes(self) -> int:
        """The memory of the trial's own processes."""
        call = self._call
        return 0 if call is None else call.session.used_bytes()

    def take_notes(self) -> tuple[str, ...]:
        """What went wrong beside training since the last time."""
        notes = tuple(self._saving.notes)
        self._saving.notes.clear()
        return notes

    def close(self) -> None:
        self._end()

    def _begin(self, load: Load) -> None:
        folder = self._spool.folder / f"trial-{load.plan.number}-{load.replicate}-{load.attempt}"
        saved = SavedFolder(load, folder)
        session = self._make(load, folder, saved.resumed)
        self._call = Call(Occupant(load, saved_at=-inf), session, saved)

    def _end(self) -> None:
        """Close the trial's session; what goes wrong about that is worth a note at most."""
        call, self._call = self._call, None
        if call is None:
            return
        note = call.session.close()
        self._print(call)
        if note is not None:
            self._saving.notes.append(f"trial {call.occupant.run.trial} {note}")
        call.folder.remove()

    def _rested(self, turn: Turn, call: Call) -> TurnResult:
        """The last turn of a trial that is to stop or end: what it reported up to here, and its folder then.

        A folder that is further than the reports is no checkpoint: what lies between would be lost.
        """
        reports: list[Report] = []
        is_whole, began = True, time.perf_counter()
        try:
            for found in call.session.rest():
                report = self._reported(found, call)
                self._spend(call, 0.0, report)
                call.examples = report.examples
                reports.append(report_of(call.occupant.load, turn, report, lane=0))
        except ReportError:  # the next attempt will say it
            is_whole = False
        self._spend(call, time.perf_counter() - began, None)
        is_over = bool(turn.ends) or call.examples >= call.occupant.load.plan.length.examples
        keeps = is_whole and (not turn.ends or self._saving.saving.final)
        snapshots = self._saving.save(call, final=is_over) if keeps else []
        return self._came(turn, call, reports, snapshots, is_over=is_over)

    def _advance(self, turn: Turn, call: Call) -> TurnResult:
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
        snapshots = self._saving.at_report(call, report, is_over)
        return self._came(turn, call, reports, snapshots, is_over=is_over)

    def _came(
        self,
        turn: Turn,
        call: Call,
        reports: Sequence[Report],
        snapshots: Sequence[Snapshot],
        *,
        is_over: bool,
    ) -> TurnResult:
        """What came of a turn; a trial that is over is closed."""
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

    def _reported(self, found: Mapping[Any, Any], call: Call) -> Reported:
        objective = self._settings.objective[0] if self._settings.objective else None
        return reported(found, after=call.examples, objective=objective)

    def _failed(self, turn: Turn, call: Call, error: BaseException, spent_s: float) -> TurnResult:
        self._spend(call, spent_s, None)
        first, text = explain(error)
        reason = first if isinstance(error, ReportError) else f"{first}\n{text}"
        run = call.occupant.run
        failure = RunFailure(run, reason, lasting=isinstance(error, ReportError) and error.lasting)
        return TurnResult(turn.number, failures=(failure,), spent={run: call.occupant.spent})

    def _print(self, call: Call) -> None:
        """Take what the session has printed, for the next answer."""
        run = call.occupant.run
        if text := call.session.take_output():
            self._printed[run] = self._printed.get(run, b"") + text

    def _spend(self, call: Call, train_s: float, report: Reported | None) -> None:
        spent = call.occupant.spent
        call.occupant.spent = replace(
            spent,
            train_s=spent.train_s + train_s,
            examples=spent.examples + (max(0, report.examples - call.seen) if report is not None else 0),
            peak_memory_bytes=max(spent.peak_memory_bytes, call.session.peak_bytes()),
            cpu_s=spent.cpu_s + call.session.cpu_s(),  # as the line before has measured it
        )
