"""When a trial's folder becomes its checkpoint: at the end, at its best report, when it asks, or when due."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path

from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Load, WorkerSettings
from sweep.worker.single import packed_folder
from sweep.worker.single.function_report import Reported
from sweep.worker.single.session import Call
from sweep.worker.snapshots import objective_at
from sweep.worker.spool import Spool

SAVE_EVERY_S = 0.25
"""What a session has asked to be saved is taken this often at most."""

SAVE_SHARE = 20
"""Saving may take one part in so many of a trial's time."""


class Saving:
    """Packs folders into the spool; `notes` are for people: what could not be saved."""

    def __init__(self, settings: WorkerSettings, spool: Spool) -> None:
        self._settings = settings
        self._spool = spool
        self.notes: list[str] = []

    def at_report(self, call: Call, report: Reported | None, is_over: bool) -> list[Snapshot]:
        """What is saved at a report: the end, the best report where that is wanted, or what is due."""
        settings, occupant = self._settings, call.occupant
        value, better = objective_at(settings, occupant, report.metrics if report is not None else {})
        if is_over:
            return self.save(call, final=True, value=value) if settings.keep_final else []
        if better and settings.keep_best_report:
            return self.save(call, value=value)
        every_s = settings.snapshot_every_s
        if call.session.has_saved:  # asked for: as soon as it does not slow training down
            every_s = max(SAVE_EVERY_S, SAVE_SHARE * call.pack_s)
        is_due = every_s is not None and time.perf_counter() - occupant.saved_at >= every_s
        return self.save(call) if is_due and call.session.is_whole(call.folder) else []

    def save(self, call: Call, *, final: bool = False, value: float | None = None) -> list[Snapshot]:
        """Pack the trial's folder, where something was kept in it since the last time."""
        state = state_of(call.folder)
        if not state or (state == call.packed and not final and value is None):
            return []
        occupant, run = call.occupant, call.occupant.run
        began = time.perf_counter()
        path = self._spool.path_for(run, call.seen)
        facts = {"run": run_text(occupant.load), "examples": str(call.seen)}
        try:
            sha256 = packed_folder.pack(call.folder, path, facts)
        except OSError as error:
            path.unlink(missing_ok=True)
            if not isinstance(error, FileNotFoundError):  # else a file was removed just now
                occupant.saved_at = time.perf_counter()
                self.notes.append(f"trial {run.trial} was not saved on {socket.gethostname()}: {error}")
            return []
        if state_of(call.folder) != state:  # written to meanwhile: parts of two checkpoints are none
            path.unlink()
            return []
        call.packed, call.session.has_saved, occupant.saved_at = state, False, time.perf_counter()
        call.pack_s = occupant.saved_at - began
        spent_s = occupant.spent.checkpoint_s + call.pack_s
        occupant.spent = replace(occupant.spent, checkpoint_s=spent_s)
        size = path.stat().st_size
        return [Snapshot(run.trial, run.replicate, call.seen, str(path), size, sha256, final, value)]


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
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


def run_text(load: Load) -> str:
    """What tells a run from all others of its study, as its key does."""
    plan = load.plan
    number = plan.number if plan.key_number is None else plan.key_number
    return f"{plan.seed} {number} {load.replicate}"
