"""What the log says of the study and its trials; of several records of a kind the first counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import stdev
from typing import Any

from runlog import layout, lineage
from runlog.final import Final
from runlog.integrity.written_files import WrittenFiles
from runlog.lineage import Lineage
from runlog.numbers import decode_mapping, decode_number
from runlog.ranking import best
from runlog.reader import OnDamage, read_batches
from runlog.records import Record
from runlog.steered import KINDS as STEERED
from runlog.steered import Steered

RUNNING = "RUNNING"
"""State of a trial that was asked and not told."""

KINDS = (
    "opened", "edited", "asked", "told", "retry", "message", "notified", "final", "closed", "file",
    lineage.KIND, *STEERED,
)  # fmt: skip
"""The records that `StudyState` takes in."""


@dataclass
class TrialRow:
    """One trial as the log knows it so far; times are seconds since 1970, None where not recorded.

    `notes` is what the sampler wrote down for itself when it was asked; `edits` how often the space had been
    edited until then; `parent` the run directory and the number of the trial that it extends; `retries` the
    number of the failed one that it tries again; `session` the one that it ended in, or else was asked in;
    `evolved` what `params` are now, of a member of a population.
    """

    number: int
    asked: float | None = None
    told: float | None = None
    state: str = RUNNING
    values: tuple[float, ...] | None = None
    reason: str | None = None
    seed: int = 0
    params: dict[str, Any] = field(default_factory=dict)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, float] = field(default_factory=dict)
    replicates: tuple[tuple[float, ...], ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    parent: tuple[str, int] | None = None
    retries: int | None = None
    diverged: bool = False
    edits: int = 0
    session: int = 0
    evolved: dict[str, Any] = field(default_factory=dict)

    @property
    def final_params(self) -> dict[str, Any]:
        """Its hyperparameters at last: of a member of a population they change on the way."""
        return self.params | self.evolved

    @property
    def feasible(self) -> bool:
        """Whether every constraint of the study holds."""
        return all(excess <= 0 for excess in self.constraints.values())


@dataclass
class StudyState:
    """The study so far; feed it records in the order of the log.

    `ledger` says where the time of the last session that ended in order went, in seconds. `retried` are
    failed trials that are to be asked again: those no longer count in the budget. `edits` are the records of
    how the space was edited: `before` and `after` hold the keys of the study file that did it. `notified` are
    those of what people were told. `lag` is that of a fixed order, None in a free one.
    """

    trials: dict[int, TrialRow] = field(default_factory=dict)
    objectives: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[Any]] = field(default_factory=dict)
    budget_trials: int | None = None
    sessions: int = 0
    pid: int | None = None
    host: str | None = None
    closed: str | None = None
    ledger: dict[str, Any] = field(default_factory=dict)
    messages: list[tuple[float, str, str]] = field(default_factory=list)
    files: WrittenFiles = field(default_factory=WrittenFiles)
    retried: list[int] = field(default_factory=list)
    edits: list[Record] = field(default_factory=list)
    notified: list[Record] = field(default_factory=list)
    final: dict[int, Final] = field(default_factory=dict)
    steered: Steered = field(default_factory=Steered)
    lag: int | None = None
    lineage: Lineage = field(init=False)

    def __post_init__(self) -> None:
        self.lineage = Lineage(lambda number: self.trials[number].hyperparameters)

    def add(self, record: Record) -> None:
        """Take in one record; kinds that say nothing of trials are ignored."""
        self.steered.add(record)
        match record["event"]:
            case "asked":
                self._asked(record)
            case "told":
                self._told(record)
            case "opened":
                self._opened(record)
            case "edited":
                self.edits.append(record)
            case "retry":
                self.retried += [number for number in record["trials"] if number not in self.retried]
            case "message":
                self.messages.append((record["time"], record["level"], record["text"]))
            case "final":
                self.final.setdefault(record["trial"], Final.of(record))
            case "notified":
                self.notified.append(record)
            case "file":
                self.files.add(record)
            case "request":
                if record["verb"] == "set" and record["accepted"]:
                    self.budget_trials = record["arguments"].get("budget.trials", self.budget_trials)
            case lineage.KIND:
                self._evolved(record)
            case "closed":
                self.closed = record["reason"]
                self.ledger = record.get("ledger", {})

    def _asked(self, record: Record) -> None:
        row = self._row(record)
        if row.asked is None:
            row.asked = record["time"]
            row.session = self.sessions
            row.seed = record["seed"]
            row.params = decode_mapping(record["params"])
            row.hyperparameters = decode_mapping(record["hyperparameters"])
            row.notes = record.get("notes", {})
            row.parent = tuple(record["parent"]) if "parent" in record else None
            row.retries = record.get("retries")
            row.edits = len(self.edits)

    def _told(self, record: Record) -> None:
        row = self._row(record)
        if row.told is None:
            row.told = record["time"]
            row.session = self.sessions
            row.state = record["state"]
            values = record["values"]
            row.values = None if values is None else tuple(map(decode_number, values))
            row.reason = record["reason"]
            row.diverged = record.get("diverged", False)
            row.ledger = decode_mapping(record["ledger"])
            row.constraints = decode_mapping(record.get("constraints", {}))
            row.replicates = tuple(
                tuple(map(decode_number, values)) for values in record.get("replicates", ())
            )

    def _evolved(self, record: Record) -> None:
        self.lineage.add(record)
        for change in record["changes"]:
            row = self.trials.get(change["trial"])
            if row is not None:
                now = self.lineage.now(row.number).hyperparameters
                row.evolved = {name: now.get(name) for name in row.params}

    def _opened(self, record: Record) -> None:
        self.sessions = record["session"]
        self.pid, self.host, self.closed = record["pid"], record["host"], None
        self.objectives = [(each["metric"], each["direction"]) for each in record["objectives"]]
        self.choices = {
            name: list(dict.fromkeys([*map(decode_number, choices), *self.choices.get(name, ())]))
            for name, choices in record["choices"].items()
        }
        self.budget_trials = record["trials"]
        self.lag = record.get("lag")

    def _row(self, record: Record) -> TrialRow:
        number = record["trial"]
        return self.trials.setdefault(number, TrialRow(number))

    def best(self, directions: Sequence[str] | None = None) -> list[TrialRow]:
        """COMPLETE trials that keep the constraints, from best to worst.

        Directions are by default those of the log's last session.
        """
        if directions is None:
            directions = [direction for _, direction in self.objectives]
        return best(self.trials.values(), directions)

    def unasked_retries(self) -> list[int]:
        """Failed trials that are to be asked again and have not been, in order."""
        asked = {row.retries for row in self.trials.values()}
        return [number for number in self.retried if number not in asked]

    def counts(self) -> dict[str, int]:
        """Trials by state, Optuna's names, states without trials left out."""
        counts: dict[str, int] = {}
        for row in self.trials.values():
            counts[row.state] = counts.get(row.state, 0) + 1
        return dict(sorted(counts.items()))


def read_study(
    run_dir: Path,
    *,
    on_damage: OnDamage,
    also: Iterable[str] = (),
    add: Callable[[Record], None] | None = None,
) -> StudyState:
    """Fold the log of a run directory, reports left unread; empty where there is no log yet.

    `add` is given each record, those of the kinds in `also` too.
    """
    study = StudyState()
    log = run_dir / layout.LOG
    if log.exists():
        for batch in read_batches(log, kinds={*KINDS, *also}, on_damage=on_damage):
            for record in batch:
                study.add(record)
                if add is not None:
                    add(record)
    return study


def trial_columns(study: StudyState) -> dict[str, list[Any]]:
    """Lay the trials out as columns, one row per trial in number order, under the names Optuna gives them.

    `number, value` (with several objectives `values_<metric>`), `datetime_start, datetime_complete,
    duration, params_<name>, state`, then `reason`, `diverged` (where some did) and `ledger_<name>`;
    with constraints `feasible` and `constraints_<name>`, with replicates `spread` (or `spread_<metric>`);
    where trials extend another run's, `parent_run` and `parent_trial`; where some try failed ones again,
    `retries`, their numbers; where some have any, `tags` and `note`.
    Times are aware, in UTC.
    """
    rows = [study.trials[number] for number in sorted(study.trials)]
    starts = [_when(row.asked) for row in rows]
    stops = [_when(row.told) for row in rows]
    return {
        "number": [row.number for row in rows],
        **_value_columns(study, rows),
        "datetime_start": starts,
        "datetime_complete": stops,
        "duration": [b - a if a and b else None for a, b in zip(starts, stops, strict=True)],
        **_param_columns(rows, edited=bool(study.edits)),
        "state": [row.state for row in rows],
        "reason": [row.reason for row in rows],
        **_diverged_column(rows),
        **_spread("", [study.final[row.number].metrics if row.number in study.final else {} for row in rows]),
        **_spread("ledger_", [row.ledger for row in rows]),
        **_parent_columns(rows),
        **_retries_column(rows),
        **_constraint_columns(rows),
        **_replicate_columns(study, rows),
        **_written_columns(study, rows),
    }


def _param_columns(rows: list[TrialRow], *, edited: bool) -> dict[str, list[Any]]:
    """What the sampler chose; where the space was edited, what was fixed when the trial was asked, too."""
    if not edited:  # what is fixed beside a condition that does not hold was not chosen
        return _spread("params_", [row.final_params for row in rows])
    names = dict.fromkeys(name for row in rows for name in row.params)
    return {
        f"params_{name}": [row.final_params.get(name, row.hyperparameters.get(name)) for row in rows]
        for name in names
    }


def _diverged_column(rows: list[TrialRow]) -> dict[str, list[Any]]:
    """Which failed trials failed because their loss was not finite; no column where none did."""
    return {"diverged": [row.diverged for row in rows]} if any(row.diverged for row in rows) else {}


def _retries_column(rows: list[TrialRow]) -> dict[str, list[Any]]:
    """Which failed trial each one tries again; no column where none does."""
    found = [row.retries for row in rows]
    return {"retries": found} if any(each is not None for each in found) else {}


def _parent_columns(rows: list[TrialRow]) -> dict[str, list[Any]]:
    """Which trial of which run each one extends."""
    if not any(row.parent for row in rows):
        return {}
    return {
        "parent_run": [row.parent[0] if row.parent else None for row in rows],
        "parent_trial": [row.parent[1] if row.parent else None for row in rows],
    }


def _constraint_columns(rows: list[TrialRow]) -> dict[str, list[Any]]:
    """`feasible`, and by how much each constraint is broken (at most 0 where it holds)."""
    if not any(row.constraints for row in rows):
        return {}
    feasible = [row.feasible if row.constraints else None for row in rows]
    return {"feasible": feasible, **_spread("constraints_", [row.constraints for row in rows])}


def _written_columns(study: StudyState, rows: list[TrialRow]) -> dict[str, list[Any]]:
    """Tags and notes of a person's; no column where no trial has any."""
    steered = study.steered
    tags = [" ".join(steered.tags.get(row.number, ())) or None for row in rows]
    notes = ["; ".join(each.text for each in steered.remarks.get(row.number, ())) or None for row in rows]
    return {name: found for name, found in (("tags", tags), ("note", notes)) if any(found)}


def _replicate_columns(study: StudyState, rows: list[TrialRow]) -> dict[str, list[Any]]:
    """The standard deviation of each objective over replicates."""
    if not any(row.replicates for row in rows):
        return {}
    several = len(study.objectives) > 1
    return {
        f"spread_{metric}" if several else "spread": [
            stdev(row.replicates[index]) if row.replicates else None for row in rows
        ]
        for index, (metric, _) in enumerate(study.objectives)
    }


def _value_columns(study: StudyState, rows: list[TrialRow]) -> dict[str, list[Any]]:
    count = len(study.objectives) or max((len(row.values) for row in rows if row.values), default=1)
    if count == 1:
        return {"value": [row.values[0] if row.values else None for row in rows]}
    names = [metric for metric, _ in study.objectives] or [str(index) for index in range(count)]
    return {
        f"values_{name}": [row.values[index] if row.values else None for row in rows]
        for index, name in enumerate(names)
    }


def _spread(prefix: str, mappings: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    mappings = list(mappings)
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return {prefix + name: [mapping.get(name) for mapping in mappings] for name in names}


def _when(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
