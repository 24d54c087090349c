"""`sweep verify`: every file of a run is read and compared with the log; what can be is rebuilt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runlog import layout
from runlog.layout import CheckpointName
from runlog.study import StudyState
from sweep.errors import JournalError, RunDirError, SpecError
from sweep.rundir.history import boundary_rows, read_reports
from sweep.rundir.recorded_files import read_recorded, rebuilt, restore_converted
from sweep.rundir.rundir import RunDir
from sweep.rundir.soundness import Finding, LogContent, examine, read_log
from sweep.search.journal_check import JournalContent, Rows, differences, read_journal, rebuild
from sweep.search.pruning.pruners import marks_trials
from sweep.spec.edited.edits import Edited, edited, with_values
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec

WRITTEN = (layout.STUDY, layout.PROVENANCE)
"""Files of which the log holds what they are made from; not so in format 1."""


@dataclass(frozen=True)
class Verification:
    """All that was found; `lost` names damaged files that cannot be rebuilt.

    After a repair `repaired` names the files that were rebuilt or set aside. A log that was damaged before it
    is lost, though all that is left of it may be sound.
    """

    run_dir: Path
    findings: tuple[Finding, ...]
    repaired: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every file is as it was written."""
        return not self.lost and all(each.sound for each in self.findings)

    @property
    def damaged(self) -> tuple[Finding, ...]:
        """What is not sound."""
        return tuple(each for each in self.findings if not each.sound)

    def as_json(self) -> dict[str, Any]:
        return {
            "run_dir": str(self.run_dir),
            "sound": self.sound,
            "findings": [asdict(each) for each in self.findings],
            "repaired": list(self.repaired),
            "lost": list(self.lost),
        }

    def as_text(self) -> str:
        damaged = len({*self.lost, *(each.path for each in self.damaged)})
        files = len({each.path for each in self.findings if each.is_read})
        summary = f"{damaged} of {files} files are damaged" if damaged else f"all {files} files are sound"
        lines = [*map(str, self.findings), *(f"repaired {text}" for text in self.repaired)]
        return "\n".join([*lines, f"{self.run_dir}: {summary}{self._advice}"])

    @property
    def _advice(self) -> str:
        """What to do about what is damaged."""
        by_hand = {each.path for each in self.damaged if each.by_hand}
        rest = {each.path for each in self.damaged} - set(self.lost) - by_hand
        said = []
        if self.lost:
            said.append(
                f"{' and '.join(self.lost)} cannot be rebuilt: restore it from a copy, if there is one"
            )
        first = sorted(by_hand - set(self.lost))
        if first:
            named = first[0] if len(first) == 1 else f"{len(first)} of them"
            said.append(f"First see to {named}, as said above")
        elif rest and not by_hand:
            said.append(f"Run: python -m sweep verify {self.run_dir} --repair")
        return "".join(f". {text}" for text in said)


def verify(run_dir: str | Path, *, repair: bool = False) -> Verification:
    """Read every file of a run directory; with `repair` rebuild what can be, then read all again.

    Raises RunDirError where there is no run, a newer version wrote it, or, with `repair`, another process
    writes there.
    """
    run_dir = Path(run_dir)
    restored = (layout.LOG,) if repair and restore_converted(run_dir) else ()
    content, found = _examine(run_dir)
    if not repair or all(each.sound for each in found):
        return Verification(run_dir, tuple(found), restored, _lost(found, content))
    had_lost = _lost(found, content)
    _repair(run_dir, found)
    content, after = _examine(run_dir)
    lost = tuple(dict.fromkeys((*(name for name in had_lost if name == layout.LOG), *_lost(after, content))))
    still = {*lost, *(each.path for each in after if not each.sound)}
    repaired = [each.path for each in found if not each.sound and each.path not in still]
    return Verification(run_dir, tuple(after), tuple(dict.fromkeys((*restored, *repaired))), lost)


def _lost(found: Sequence[Finding], content: LogContent) -> tuple[str, ...]:
    damaged = {each.path for each in found if not each.sound}
    gone = [name for name in WRITTEN if name in damaged and rebuilt(name, content.study.files) is None]
    return (*((layout.LOG,) if layout.LOG in damaged else ()), *gone)


def _examine(run_dir: Path) -> tuple[LogContent, list[Finding]]:
    """What the log says, and every file; the log is ahead of Optuna's journal, which is read before it."""
    journal: JournalContent | str | None = None
    if (path := run_dir / layout.JOURNAL).exists():
        try:
            journal = read_journal(path)
        except JournalError as error:
            journal = str(error).replace(f"{path} ", "")
    content = read_log(run_dir)
    return content, [*examine(run_dir, content), *_journal(run_dir, content, journal)]


def _journal(run_dir: Path, content: LogContent, journal: JournalContent | str | None) -> Iterator[Finding]:
    path, name = run_dir / layout.JOURNAL, layout.JOURNAL
    if journal is None:
        if content.study.files.heads.get(name, (0, ""))[0]:
            yield Finding(name, False, "is not there")
    elif isinstance(journal, str):
        yield Finding(name, False, journal)
    elif not content.study.files.vouch_for_head(path):
        yield Finding(name, False, "is not what the log recorded")
    else:
        spec = _spec(run_dir, content.study)
        rows = None if spec is None or content.damage else _rows(run_dir, spec, content.study.trials)
        found = (
            [] if content.damage else differences(journal, content.study, rows, _edited(spec, content.study))
        )
        yield from (Finding(name, False, text) for text in found)
        if not found:
            yield Finding(name, True, f"{len(journal.trials)} trials")


def _rows(run_dir: Path, spec: StudySpec, numbers: Collection[int]) -> Rows:
    metric = spec.pruner.metric or spec.objective[0].metric
    reports = read_reports(run_dir, numbers)
    return {number: boundary_rows(each, metric, spec.trial.replicates) for number, each in reports.items()}


def _spec(run_dir: Path, study: StudyState) -> StudySpec | None:
    """The study as it was resolved, its space as it was edited last; None where its file is not sound."""
    try:
        data = read_recorded(run_dir, layout.STUDY, study.files)
        spec = parse(data.decode("utf-8", errors="replace"), file=str(run_dir / layout.STUDY))
    except (FileNotFoundError, RunDirError, SpecError):
        return None
    return with_values(spec, study.edits[-1]["after"]) if study.edits else spec


def _edited(spec: StudySpec | None, study: StudyState) -> Edited:
    return Edited() if spec is None else edited(spec, study.edits, study.trials)


def _repair(run_dir: Path, found: Sequence[Finding]) -> None:
    """Set damaged checkpoints aside, and make parts, tables and journal again from the log."""
    damaged = {each.path: each for each in found if not each.sound and not each.by_hand}
    path = run_dir.resolve()
    with RunDir.open(path.parent, path.name) as run:  # which names damaged lines and removes damaged parts
        for name in WRITTEN:
            if name in damaged:
                run.rebuild(name)
        for name, finding in damaged.items():
            if CheckpointName.parse(name) is None:
                continue
            if (path / name).exists():
                run.checkpoints.set_aside(name, finding.text)
            elif name in run.history.lost_checkpoints:
                run.checkpoints.remove(name)
        if layout.JOURNAL in damaged:
            _rebuild_journal(run, damaged[layout.JOURNAL].text)
        run.derive_tables()


def _rebuild_journal(run: RunDir, why: str) -> None:
    """Where the log alone is not enough, the next session builds it."""
    run.set_aside(layout.JOURNAL, why)
    run.commit()
    study = run.history.study
    spec = _spec(run.path, study)
    if spec is None or spec.warm_start or marks_trials(spec):
        return
    rebuild(
        run.journal_path,
        spec,
        study,
        run.history.told,
        _rows(run.path, spec, study.trials),
        _edited(spec, study),
    )
    run.vouch_for_journal()
