"""When a trial's folder becomes its checkpoint: at the end, at its best report, when it asks, or when due."""

from __future__ import annotations

import socket
from dataclasses import replace

from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import WorkerSettings
from sweep.worker.single.function_report import Reported
from sweep.worker.single.session import Call
from sweep.worker.snapshots import objective_at
from sweep.worker.spool import Spool


class Saving:
    """Packs folders into the spool, as `saving` says; `notes` are for people: what could not be saved."""

    def __init__(self, settings: WorkerSettings, spool: Spool) -> None:
        self._settings = settings
        self.saving = settings.saving
        self._spool = spool
        self.notes: list[str] = []

    def at_report(self, call: Call, report: Reported | None, is_over: bool) -> list[Snapshot]:
        """What is saved at a report: the end, the best report where that is wanted, or what is due."""
        saving, occupant = self.saving, call.occupant
        value, better = objective_at(self._settings, occupant, report.metrics if report is not None else {})
        if is_over:
            return self.save(call, final=True, value=value) if saving.final else []
        if better and saving.best_report:
            return self.save(call, value=value)
        is_due = call.folder.is_due(saving.every_s, asked=call.session.has_saved)
        return self.save(call) if is_due and call.session.is_whole(call.folder.path) else []

    def save(self, call: Call, *, final: bool = False, value: float | None = None) -> list[Snapshot]:
        """Pack the trial's folder, where something was kept in it since the last time."""
        run = call.occupant.run
        into = self._spool.path_for(run, call.seen)
        try:
            snapshot = call.folder.pack(into, call.seen, final=final, value=value)
        except OSError as error:
            self.notes.append(f"trial {run.trial} was not saved on {socket.gethostname()}: {error}")
            return []
        self.notes += call.folder.take_notes()
        if snapshot is None:
            return []
        call.session.has_saved = False
        spent = call.occupant.spent
        call.occupant.spent = replace(spent, checkpoint_s=spent.checkpoint_s + call.folder.pack_s)
        return [snapshot]
