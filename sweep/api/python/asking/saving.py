"""The folders of the trials that this process holds, and when they are packed as checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from math import inf
from pathlib import Path

from runlog import layout
from sweep.errors import SpecError
from sweep.spec.parse import parse
from sweep.spec.resolve import keeps_best_report
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Load
from sweep.worker.single.saved_folder import SavedFolder
from sweep.worker.spool import Spool


class Saving:
    """All lie in one folder, which goes with the study; it is made when a trial first keeps something.

    Which checkpoints are wanted may be set by hand: study.yaml of the run directory has it then.
    """

    def __init__(self, spec: StudySpec, run_dir: Path) -> None:
        objective = spec.objective[0]
        self.metric = objective.metric
        self.sign = 1 if objective.direction == "maximize" else -1
        self.every_s = spec.checkpoints.every_s
        self.keeps_final = spec.checkpoints.keep_best > 0
        self.keeps_best_report = keeps_best_report(spec)
        self._spool: Spool | None = None
        self._study = run_dir / layout.STUDY
        self._read: tuple[int, int] | None = None

    def follow(self) -> None:
        """Go by the study as it is now; where its file cannot be read, as it was."""
        try:
            found = self._study.stat()
            if self._read == (read := (found.st_ino, found.st_mtime_ns)):
                return
            spec = parse(self._study.read_text("utf-8"), str(self._study))
        except (OSError, ValueError, SpecError):
            return
        self._read = read
        self.keeps_final = spec.checkpoints.keep_best > 0
        self.keeps_best_report = keeps_best_report(spec)

    @property
    def spool(self) -> Spool:
        """Where the folders lie."""
        if self._spool is None:
            self._spool = Spool()
        return self._spool

    def close(self) -> None:
        """Remove them all."""
        if self._spool is not None:
            self._spool.close()


class TrialSaving:
    """One trial's folder; what an earlier holder saved is unpacked when it is first asked for."""

    def __init__(self, saving: Saving, load: Load) -> None:
        self.load = load
        self._saving = saving
        self._folder: SavedFolder | None = None
        self._best = -inf
        self._recorded: tuple[int, object] | None = None

    @property
    def folder(self) -> SavedFolder:
        if self._folder is None:
            name = f"trial-{self.load.plan.number}-{self.load.attempt}"
            self._folder = SavedFolder(self.load, self._saving.spool.folder / name)
        return self._folder

    def at_report(
        self, examples: int, metrics: Mapping[str, float], *, asked: bool, ends: bool = False
    ) -> list[Snapshot]:
        """What is saved at a report: the end, the best report where that is wanted, or what is due."""
        saving = self._saving
        value = metrics.get(saving.metric)
        is_better = value is not None and saving.sign * value > self._best
        if value is not None and is_better:
            self._best = saving.sign * value
        if self._folder is None:  # it keeps nothing
            return []
        saving.follow()
        if ends:
            return self._pack(examples, final=True, value=value) if saving.keeps_final else []
        if is_better and saving.keeps_best_report:
            return self._pack(examples, value=value)
        return self._pack(examples) if self._folder.is_due(saving.every_s, asked=asked) else []

    def reported(self, examples: int) -> None:
        """A report has been recorded: what lies in the folder now belongs to it."""
        if self._folder is not None:
            self._recorded = examples, self._folder.state

    def at_rest(self) -> list[Snapshot]:
        """What is saved where its process leaves the trial: nothing that no report has followed."""
        if self._folder is None or self._recorded is None or self._folder.state != self._recorded[1]:
            return []
        return self._pack(self._recorded[0])

    def remove(self) -> None:
        """The trial has ended."""
        if self._folder is not None:
            self._folder.remove()

    def _pack(self, examples: int, *, final: bool = False, value: float | None = None) -> list[Snapshot]:
        into = self._saving.spool.path_for(self.load.run, examples)
        try:
            found = self.folder.pack(into, examples, final=final, value=value)
        except OSError as error:  # its program trains on: the next checkpoint may fit
            print(f"trial {self.load.plan.number} was not saved: {error}", file=sys.stderr)
            return []
        for note in self.folder.take_notes():
            print(note, file=sys.stderr)
        return [] if found is None else [found]
