"""What the log tells the driver when a study resumes: a reducer over every record, reading only."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runlog import checkpoints, collector, layout, steered
from runlog.checkpoints import CheckpointsState
from runlog.integrity import wholeness
from runlog.reader import UnreadableLogError, read_batches
from runlog.records import Record
from runlog.study import RUNNING, StudyState, TrialRow
from sweep.errors import RunDirError
from sweep.vocabulary.trial import BoundaryRow, Outcome, Report, RunId, Scalar, Snapshot, TrialState

LANE_TIMES = ("compile_s", "train_s", "evaluate_s", "checkpoint_s")
"""Entries of a ledger during which a trial occupies its lane for itself."""


@dataclass(frozen=True)
class UnfinishedTrial:
    """A trial asked and not told: what is needed to resume it.

    `reports` are those recorded, in order, each run and boundary once; `attempt` is the highest one they
    name (0 without reports); `checkpoints` holds each run's last one that is still on disk, its path
    relative to the run directory; `lane_s` is each run's time in lanes up to its last report, in seconds.
    """

    number: int
    seed: int
    params: dict[str, Scalar]
    hyperparameters: dict[str, Scalar]
    asked: float
    reports: tuple[Report, ...]
    attempt: int
    checkpoints: dict[RunId, Snapshot]
    lane_s: dict[RunId, float]


@dataclass(frozen=True)
class History:
    """The study as the log has it.

    `checkpoints` maps paths of all recorded checkpoints that are on disk or in the store,
    `stored_checkpoints` gives the URLs of the latter, `damaged_checkpoints` names those that are there in
    another size, `lost_checkpoints` those that are not there, `removed_checkpoints` those that are to be
    deleted; `damage` names what of the log could not be read, `fresh_damage` those of them that no earlier
    session has recorded.
    `lane_s` is the lane time of the told trials together, `elapsed_s` how long all sessions took, in seconds.
    """

    sessions: int = 0
    closed: str | None = None
    unfinished: dict[int, UnfinishedTrial] = field(default_factory=dict)
    told: dict[int, Outcome] = field(default_factory=dict)
    checkpoints: dict[str, Snapshot] = field(default_factory=dict)
    damaged_checkpoints: tuple[str, ...] = ()
    lost_checkpoints: tuple[str, ...] = ()
    stored_checkpoints: Mapping[str, str] = field(default_factory=dict)
    removed_checkpoints: frozenset[str] = frozenset()
    lane_s: float = 0.0
    elapsed_s: float = 0.0
    damage: tuple[str, ...] = ()
    fresh_damage: tuple[str, ...] = ()
    study: StudyState = field(default_factory=StudyState)

    @property
    def used(self) -> int:
        """Ended trials that count in the budget: those that are asked again do not."""
        return len(self.told) - len(self.study.retried)

    def best(self, directions: Sequence[str]) -> list[Outcome]:
        """COMPLETE trials from best to worst."""
        return [self.told[row.number] for row in self.study.best(directions)]


def read_history(run_dir: Path) -> History:
    """Read the log of a run directory back; empty where there is no log yet.

    Raises RunDirError where a newer version wrote it or it cannot be read. Linear in the log's length;
    reports of told trials are dropped as soon as their trial's end is read.
    """
    log = run_dir / layout.LOG
    if not log.exists():
        return History()
    reducer = _Reducer()
    damage: list[str] = []
    try:
        with collector.held_off():
            for batch in read_batches(log, on_damage=lambda each: damage.append(str(each))):
                reducer.add(batch)
    except UnreadableLogError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise RunDirError(f"{log}: cannot be read: {error.strerror or error}") from error
    try:
        damage += wholeness.problems(run_dir)
        return reducer.history(run_dir, tuple(damage))
    except OSError as error:
        where = error.filename or run_dir
        raise RunDirError(f"{where}: cannot be read: {error.strerror or error}. Make it readable") from error


def read_reports(run_dir: Path, numbers: Collection[int]) -> dict[int, tuple[Report, ...]]:
    """The reports of some trials, told ones too, each run and boundary once, in the log's order."""
    found: dict[int, list[Record]] = {}
    for batch in read_batches(run_dir / layout.LOG, kinds=("report",), on_damage=lambda each: None):
        for record in batch:
            if record["trial"] in numbers:
                found.setdefault(record["trial"], []).append(record)
    return {number: _first_of_each(records) for number, records in found.items()}


def _first_of_each(records: Sequence[Record]) -> tuple[Report, ...]:
    first = {(record["replicate"], record["examples"]): record for record in reversed(records)}
    return tuple(Report.of(record) for record in reversed(first.values()))


def boundary_rows(reports: Iterable[Report], metric: str, replicates: int) -> list[BoundaryRow]:
    """A metric at each boundary that all replicates have reached, in order of examples."""
    rows: dict[int, dict[int, float]] = {}
    for report in reports:
        rows.setdefault(report.examples, {})[report.replicate] = report.metrics.get(metric, math.nan)
    whole = {examples: row for examples, row in sorted(rows.items()) if len(row) == replicates}
    return [(examples, tuple(row[each] for each in sorted(row))) for examples, row in whole.items()]


class _Reducer:
    def __init__(self) -> None:
        self.study = StudyState()
        self.reports: dict[int, list[Record]] = {}
        self.checkpoints = CheckpointsState()
        self.elapsed_s = 0.0
        self.last: float | None = None

    def add(self, batch: Iterable[Record]) -> None:
        for record in batch:
            event = record["event"]
            self._enter_time(event, record["time"])
            if event == "report":
                self.reports.setdefault(record["trial"], []).append(record)
            elif event in checkpoints.KINDS:
                self.checkpoints.add(record)
            else:
                self.study.add(record)
                if event == "told":
                    self.reports.pop(record["trial"], None)

    def _enter_time(self, event: str, time: float) -> None:
        """Time passes within a session; what is noted between sessions is not of one."""
        if event in ("message", "retry", "edited", "file", *steered.KINDS, *checkpoints.KINDS):
            return
        if event != "opened" and self.last is not None:
            self.elapsed_s += max(0.0, time - self.last)
        self.last = time

    def history(self, run_dir: Path, damage: tuple[str, ...]) -> History:
        """What all records add up to; `damage` names the lines that could not be read."""
        sizes = {path: each.size_on_disk(run_dir) for path, each in self.checkpoints.kept.items()}
        present = {
            path: each
            for path, each in self.checkpoints.kept.items()
            if each.url is not None or sizes[path] == each.snapshot.bytes
        }
        last = _last_by_trial(each.snapshot for each in present.values())
        rows = self.study.trials.values()
        told = {row.number: _outcome(row) for row in rows if row.state != RUNNING}
        known = {text for _, _, text in self.study.messages}
        return History(
            sessions=self.study.sessions,
            closed=self.study.closed,
            unfinished={
                row.number: _unfinished(row, self.reports.get(row.number, []), last.get(row.number, {}))
                for row in rows
                if row.state == RUNNING
            },
            told=told,
            checkpoints={path: each.snapshot for path, each in present.items()},
            damaged_checkpoints=tuple(
                path for path, size in sizes.items() if size is not None and path not in present
            ),
            lost_checkpoints=tuple(
                path for path, size in sizes.items() if size is None and path not in present
            ),
            stored_checkpoints={path: each.url for path, each in present.items() if each.url is not None},
            removed_checkpoints=frozenset(self.checkpoints.removed),
            lane_s=sum(lane_time(outcome) for outcome in told.values()),
            elapsed_s=self.elapsed_s,
            damage=damage,
            fresh_damage=tuple(text for text in damage if text not in known),
            study=self.study,
        )


def lane_time(outcome: Outcome) -> float:
    """Seconds that a told trial occupied lanes for itself."""
    return sum(float(outcome.ledger.get(name, 0.0)) for name in LANE_TIMES)


def _outcome(row: TrialRow) -> Outcome:
    state = TrialState(row.state)
    return Outcome(
        row.number,
        state,
        row.values,
        row.reason,
        row.ledger,
        row.constraints,
        row.replicates,
        diverged=row.diverged,
    )


def _unfinished(row: TrialRow, records: list[Record], checkpoints: dict[RunId, Snapshot]) -> UnfinishedTrial:
    reports = _first_of_each(records)
    return UnfinishedTrial(
        number=row.number,
        seed=row.seed,
        params=row.params,
        hyperparameters=row.hyperparameters,
        asked=row.asked or 0.0,
        reports=reports,
        attempt=max((report.attempt for report in reports), default=0),
        checkpoints=checkpoints,
        lane_s=_lane_seconds(row.number, records),
    )


def _lane_seconds(number: int, records: Iterable[Record]) -> dict[RunId, float]:
    """The greatest that each run's records name; those of older versions name none."""
    found: dict[RunId, float] = {}
    for record in records:
        run = RunId(number, record["replicate"])
        found[run] = max(found.get(run, 0.0), record.get("lane_s", 0.0))
    return found


def _last_by_trial(checkpoints: Iterable[Snapshot]) -> dict[int, dict[RunId, Snapshot]]:
    last: dict[int, dict[RunId, Snapshot]] = {}
    for each in checkpoints:
        runs = last.setdefault(each.trial, {})
        if each.run not in runs or each.examples > runs[each.run].examples:
            runs[each.run] = each
    return last
