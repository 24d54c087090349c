"""The run directory: the only writer of its files, one process at a time.

The log is the truth; everything else in the directory is written before it is needed and can be compared
with the log (study.yaml, provenance.json, checkpoints) or derived from it again (Parquet). Optuna's
journal is written by Optuna; only its place is known here.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runlog import layout, lineage
from runlog.final import Final
from runlog.integrity import written_files
from runlog.integrity.chain import sum_before
from runlog.lineage import Change
from runlog.reader import whole_bytes
from sweep.errors import JournalError, RunDirError
from sweep.rundir.checkpoints import PARTIAL, remove_partial
from sweep.rundir.disk import disk_errors, publish, replace_file, set_aside, sync_directory
from sweep.rundir.history import read_history
from sweep.rundir.kept_checkpoints import KeptCheckpoints
from sweep.rundir.lock import WriterLock
from sweep.rundir.log import RecordLog
from sweep.rundir.naming import check_case, check_contents, checked_name
from sweep.rundir.provenance import encoded, entry_of, parse_provenance, with_entry
from sweep.rundir.recorded_files import read_recorded, rebuilt
from sweep.rundir.tables import remove_damaged
from sweep.rundir.tables_thread import TablesThread
from sweep.vocabulary.trial import Outcome, Report, Scalar, TrialPlan


class RunDir:
    """One study's directory, held open for writing.

    `record_*` methods buffer; what they took outlives this process once `write` returns, and a power cut
    once `commit` does. `history` is the study as it stood when the directory was `opened`, in seconds since
    1970.
    """

    def __init__(self, path: Path, lock: WriterLock, clock: Callable[[], float]) -> None:
        """Use `open`."""
        self.path = path
        self._lock = lock
        self._clock = clock
        self.opened = clock()
        size = whole_bytes(path / layout.LOG)
        self.history = read_history(path)
        self._log = RecordLog(path / layout.LOG, size=size)
        self._told = set(self.history.told)
        self._keys = {
            number: {(report.replicate, report.examples) for report in trial.reports}
            for number, trial in self.history.unfinished.items()
        }
        self.checkpoints = KeptCheckpoints(path, self.history, self._append)
        self._tables = TablesThread(path, clock)
        self._held = True

    @classmethod
    def open(cls, root: Path, name: str, *, clock: Callable[[], float] = time.time) -> RunDir:
        """Open `root/name` for writing, made where it is missing, and read its log.

        Raises RunDirError where the name would leave `root`, another process writes there, the directory
        holds something else, lost its log, or was written by a newer version.
        """
        path = root / checked_name(name)
        with disk_errors(path):
            check_case(root, name)
            path.mkdir(parents=True, exist_ok=True)
            check_contents(path)
        lock = WriterLock(path / layout.LOCK)
        try:
            with disk_errors(path):
                (path / layout.METRICS).mkdir(exist_ok=True)
                (path / layout.CHECKPOINTS).mkdir(exist_ok=True)
                sync_directory(path)
                sync_directory(root)
                remove_partial(path)
                run = cls(path, lock, clock)
                run._adopt()
        except BaseException:
            lock.release()
            raise
        return run

    def _adopt(self) -> None:
        """Record what the log should say: what is damaged, and checkpoints whose record was cut off."""
        if self._log.size and sum_before(self._log.path, self._log.size) is None:
            self._vouch_for_head(layout.LOG)  # written by a version without checksums
        for text in self.history.fresh_damage:
            self.record_message("warning", text)
        for text in remove_damaged(self.path):
            self.record_message("warning", text)
        self.checkpoints.adopt(self.history)

    @property
    def journal_path(self) -> Path:
        """Where Optuna's journal lies."""
        return self.path / layout.JOURNAL

    @property
    def study_text(self) -> str | None:
        """The study file as last resolved, by the log where it is not there; None where there is none yet."""
        try:
            data = self._recorded(layout.STUDY)
        except FileNotFoundError:
            found = rebuilt(layout.STUDY, self.history.study.files)
            if found is None:
                return None
            data = found
        return data.decode("utf-8", errors="replace")

    @property
    def provenance(self) -> dict[str, Any] | None:
        """What `write_provenance` last wrote, by the log where the file is not there or damaged.

        None where there is none yet; a damaged file is set aside.
        """
        path = self.path / layout.PROVENANCE
        try:
            return parse_provenance(path, self._recorded(layout.PROVENANCE))
        except FileNotFoundError:
            pass
        except RunDirError as error:
            self.set_aside(layout.PROVENANCE, str(error))
        data = rebuilt(layout.PROVENANCE, self.history.study.files)
        return None if data is None else parse_provenance(path, data)

    @property
    def session(self) -> int:
        """Which opening of this study this is, from 1 on."""
        return self.history.sessions + 1

    def write_study(self, text: str) -> None:
        """Replace study.yaml."""
        self._replace(layout.STUDY, text.encode("utf-8"), text)

    def write_provenance(
        self,
        *,
        task_hash: str,
        hosts: Sequence[str],
        folder: str | None = None,
        reads: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Replace provenance.json: this session after the earlier ones; again when hosts join.

        `folder` is where the study file lies; `reads` are the files that its task reads.
        """
        entry = entry_of(self.session, task_hash=task_hash, hosts=hosts, folder=folder, reads=reads)
        self._replace(layout.PROVENANCE, encoded(with_entry(self.provenance, entry)), entry)

    def rebuild(self, name: str) -> bool:
        """Make study.yaml or provenance.json again from the log; whether it holds what that takes."""
        data = rebuilt(name, self.history.study.files)
        if data is None:
            return False
        if (self.path / name).exists():
            self.set_aside(name, "rebuilt from the log")
        self._log.commit()
        with disk_errors(self.path):
            replace_file(self.path / name, data)
        return True

    def record_opened(
        self,
        *,
        objectives: Sequence[tuple[str, str]],
        choices: Mapping[str, Sequence[Scalar]],
        trials: int | None,
        lag: int | None = None,
    ) -> None:
        """Record that this session runs the study: (metric, direction) pairs, categorical choices, budget.

        `lag` is that of a fixed order.
        """
        self._append(
            "opened",
            format=layout.FORMAT,
            session=self.session,
            host=platform.node(),
            pid=os.getpid(),
            objectives=[{"metric": metric, "direction": direction} for metric, direction in objectives],
            choices={name: list(values) for name, values in choices.items()},
            trials=trials,
            **({} if lag is None else {"lag": lag}),
        )

    def record_asked(
        self,
        plan: TrialPlan,
        params: Mapping[str, Scalar],
        notes: Mapping[str, Any] | None = None,
        parent: tuple[str, int] | None = None,
        retries: int | None = None,
        enqueued: str | None = None,
    ) -> None:
        """Record a new trial; `params` is what the sampler chose, fixed hyperparameters left out.

        `notes` is what the sampler wrote down about the trial for itself, in words that JSON knows; `parent`
        the run directory and number of the trial that it extends; `retries` the failed one that it tries
        again; `enqueued` the request that asked for its point.
        """
        if plan.number in self._keys or plan.number in self._told:
            raise ValueError(f"trial {plan.number} was asked before")
        self._keys[plan.number] = set()
        self._append(
            "asked",
            trial=plan.number,
            params=dict(params),
            hyperparameters=dict(plan.hyperparameters),
            seed=plan.seed,
            **({"notes": dict(notes)} if notes else {}),
            **({"parent": list(parent)} if parent else {}),
            **({"retries": retries} if retries is not None else {}),
            **({"enqueued": enqueued} if enqueued is not None else {}),
        )
        self.history.study.steered.points.pop(enqueued or "", None)

    def record_evolved(self, judged: Sequence[tuple[int, int]], changes: Sequence[Change]) -> None:
        """Record what was decided on members of a population, `judged` at their boundaries in examples.

        It has to be on disk before it has an effect: what was trained after it could not be told apart.
        """
        self._append(
            lineage.KIND,
            judged=[list(each) for each in judged],
            changes=[change.as_fields() for change in changes],
        )

    def record_edited(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Record that the space is another from here on: the study file's keys before and after."""
        self.record_known("edited", before=before, after=after)

    def record_known(self, event: str, **fields: Any) -> None:
        """Record what changes the study from here on, on disk; the history knows of it, too."""
        time = self._clock()
        self._log.record(event, time, fields)
        self._log.commit()
        self.history.study.add({"event": event, "time": time, **fields})

    def record_retry(self, trials: Sequence[int]) -> None:
        """Record that failed trials are to be asked again."""
        self._append("retry", trials=list(trials))

    def record_reports(self, reports: Iterable[Report], *, lane_s: float | None = None) -> list[Report]:
        """Record reports; gives those that are new. `lane_s` is what the run has spent in lanes up to here.

        What a run has reported before (it resumed from an earlier snapshot), and what a trial reports
        that was told meanwhile, is not recorded again.
        """
        return [report for report in reports if self.record_report(report, lane_s)]

    def record_report(self, report: Report, lane_s: float | None) -> bool:
        """Record one, if it is new, and say whether it was."""
        keys = self._keys.get(report.trial)
        if keys is None:
            if report.trial not in self._told:
                raise ValueError(f"trial {report.trial} reports but was never asked")
            return False
        key = (report.replicate, report.examples)
        if key in keys:
            return False
        keys.add(key)
        fields = report.as_fields()
        if lane_s is not None:
            fields["lane_s"] = round(lane_s, 3)
        self._log.record("report", fields.pop("time"), fields)
        return True

    def record_outcome(self, outcome: Outcome) -> None:
        """Record how a trial ended; once."""
        if self._keys.pop(outcome.number, None) is None:
            state = "told" if outcome.number in self._told else "never asked"
            raise ValueError(f"trial {outcome.number} ends but was {state} before")
        self._told.add(outcome.number)
        self._append(
            "told",
            trial=outcome.number,
            state=outcome.state.value,
            values=None if outcome.values is None else list(outcome.values),
            reason=outcome.reason,
            ledger=dict(outcome.ledger),
            constraints=dict(outcome.constraints),
            replicates=[list(values) for values in outcome.replicates],
            **({"diverged": True} if outcome.diverged else {}),
        )

    def record_slot(self, slot: str, *, host: str, chip: str) -> None:
        """Record that a slot joined."""
        self._append("slot", slot=slot, host=host, chip=chip)

    def record_lost(self, slot: str, *, host: str, reason: str) -> None:
        """Record that a slot's worker is gone."""
        self._append("lost", slot=slot, host=host, reason=reason)

    def record_message(self, level: str, text: str) -> None:
        """Record a line for people; `level` is "info", "warning" or "error"."""
        self._append("message", level=level, text=text)

    def record_final(self, trial: int, found: Final) -> None:
        """Record what was found of a trial once the study had finished."""
        self._append("final", trial=trial, **found.as_fields())

    def record_notified(
        self, about: str, to: str, *, trial: int | None = None, ended: int | None = None
    ) -> None:
        """Record that a message has arrived, and where; of the best `trial`, after so many had `ended`."""
        fields = {"trial": trial, "ended": ended}
        given = {name: value for name, value in fields.items() if value is not None}
        self._append("notified", about=about, to=to, **given)

    @property
    def dirty(self) -> bool:
        """Whether a commit would have anything to do."""
        return self._log.dirty

    def write(self) -> None:
        """Hand what was recorded to the system: from here on it outlives this process. Raises RunDirError."""
        self._log.write()

    def commit(self) -> None:
        """Wait until all that was recorded is on disk; only then delete what the log says is removed.

        Raises RunDirError where the disk refuses; nothing is lost then, the next commit tries again.
        """
        self._log.commit()
        self.checkpoints.delete_removed()

    def prepare(self) -> None:
        """Begin what is needed at the end, beside the writer."""
        self._tables.prepare()

    def maintain(self) -> None:
        """Derive what is due, beside the caller: call it often; it returns at once."""
        for text in self._tables.maintain(self._log.size):
            self.record_message("warning", text)

    def set_aside(self, path: str, why: str) -> None:
        """Rename a damaged file that will be rebuilt to `.damaged`, and say so in the log."""
        self.record_message("warning", set_aside(self.path, path, why))
        if path in written_files.GROWING:
            self._vouch_for_head(path)

    def check_journal(self) -> None:
        """Raise JournalError where Optuna's journal does not begin with what a session left there."""
        if not self.journal_path.exists():
            self._vouch_for_head(layout.JOURNAL)  # it is begun anew
            return
        try:
            holds = self.history.study.files.vouch_for_head(self.journal_path)
        except OSError as error:
            raise JournalError(f"{self.journal_path} cannot be read: {error.strerror or error}") from error
        if not holds:
            raise JournalError(f"{self.journal_path} is not what the log recorded")

    def replace_journal(self, make: Callable[[Path], None]) -> None:
        """Replace Optuna's journal by what `make` writes: at any moment the old or the new one is there."""
        partial = self.journal_path.with_name(layout.JOURNAL + PARTIAL)
        partial.unlink(missing_ok=True)
        make(partial)
        fields = written_files.head_fields(self.journal_path, 0)
        self._append(written_files.KIND, **fields)  # what it began with before no longer holds
        self._log.commit()
        self.history.study.files.add(fields)
        with disk_errors(self.journal_path):
            publish(partial, self.journal_path)

    def vouch_for_journal(self) -> None:
        """Record how Optuna's journal begins: all that it holds now."""
        self._vouch_for_head(layout.JOURNAL)

    def derive_tables(self) -> None:
        """Derive all tables from the whole log, and wait; from here on none are derived beside the writer."""
        self.commit()
        for text in self._tables.finish(self._log.size):
            self.record_message("warning", text)
        self.commit()

    def close(self, reason: str, *, ledger: Mapping[str, object] | None = None) -> None:
        """Record why the session ends and where its time went, derive all tables, let the next writer in."""
        try:
            self.vouch_for_journal()
            self._append("closed", reason=reason, **({"ledger": ledger} if ledger else {}))
            self.derive_tables()
        finally:
            self.release()

    def release(self) -> None:
        """Let the next writer in as a kill would: nothing more is written."""
        if self._held:
            self._held = False
            self._tables.stop()
            self._log.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _recorded(self, name: str) -> bytes:
        return read_recorded(self.path, name, self.history.study.files)

    def _replace(self, name: str, data: bytes, content: object = None) -> None:
        """Replace a file that the log vouches for: first it says what is to come, and what from."""
        files = self.history.study.files
        fields = written_files.fields(name, data)
        if content is not None and files.contents.get(name, [])[-1:] != [content]:
            fields["content"] = content
        self._append(written_files.KIND, **fields)
        self._log.commit()
        files.add(fields)
        replace_file(self.path / name, data)

    def _vouch_for_head(self, name: str) -> None:
        """Record how a growing file begins, so that the next session can tell whether it is the same one."""
        fields = written_files.head_fields(self.path / name, self._log.size if name == layout.LOG else None)
        if not fields["bytes"] and name not in self.history.study.files.heads:
            return
        self._append(written_files.KIND, **fields)
        self.history.study.files.add(fields)

    def _append(self, event: str, **fields: Any) -> None:
        self._log.record(event, self._clock(), fields)
