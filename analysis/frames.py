"""Log records and Arrow tables as DataFrames with the types their columns have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis.errors import RunError, warn
from analysis.studyfile import StudyFile
from runlog import layout, parquet
from runlog.checkpoints import CheckpointsState
from runlog.ranking import Candidate
from runlog.records import Record
from runlog.study import RUNNING, StudyState, trial_columns
from runlog.tables import SCHEMA

REPORT_COLUMNS = tuple(SCHEMA.names)
"""The columns of `metrics` that are no metrics."""

TIMES = ("queue", "compile", "train", "evaluate", "checkpoint", "idle", "lost")
"""The ledger's times, in the order in which a trial spends them."""

WHEN: Literal["datetime64[us, UTC]"] = "datetime64[us, UTC]"
SPAN: Literal["timedelta64[us]"] = "timedelta64[us]"

TRIAL_TYPES = {
    "number": "int64",
    "datetime_start": WHEN,
    "datetime_complete": WHEN,
    "duration": SPAN,
    "state": "str",
    "reason": "str",
    "tags": "str",
    "note": "str",
}

LINEAGE_TYPES = {"trial": "int64", "examples": "int64", "from": "Int64"}

CHECKPOINT_TYPES = {
    "trial": "int64",
    "replicate": "int64",
    "examples": "int64",
    "path": "str",
    "bytes": "int64",
    "sha256": "str",
    "final": "bool",
    "value": "float64",
    "time": WHEN,
}

EVENT_TYPES = {
    "time": WHEN,
    "session": "int64",
    "event": "category",
    "trial": "Int64",
    "replicate": "Int64",
    "examples": "Int64",
    "slot": "str",
    "host": "str",
    "level": "str",
    "text": "str",
}

SESSION_TYPES = {
    "session": "int64",
    "opened": WHEN,
    "closed": WHEN,
    "reason": "str",
    "host": "str",
    "pid": "Int64",
}

_TEXT = ("text", "reason", "state", "path", "chip")
"""Where an event's words are, the first that it has."""


def lineage(study: StudyState, names: Sequence[str]) -> pd.DataFrame:
    """One row per change of a member, in the order of the log."""
    changes = study.lineage.changes
    columns: dict[str, list[Any]] = {
        "trial": [each.trial for each in changes],
        "examples": [each.examples for each in changes],
        "from": [each.source for each in changes],
    }
    for name in names:
        columns[f"before_{name}"] = [each.before.get(name) for each in changes]
        columns[f"after_{name}"] = [each.after.get(name) for each in changes]
    return pd.DataFrame(columns).astype(LINEAGE_TYPES)


def trials(study: StudyState) -> pd.DataFrame:
    """One row per trial, as the log has it."""
    columns = trial_columns(study)
    return pd.DataFrame({name: _series(name, values, study.choices) for name, values in columns.items()})


def stored_trials(run_dir: Path, study: StudyFile) -> pd.DataFrame:
    """One row per trial, as trials.parquet has it. Raises RunError where that cannot be read."""
    path = run_dir / layout.TRIALS
    try:
        table = parquet.read(path)
        parquet.check_stamp(table)
        frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    except FileNotFoundError:
        warn(f"{path}: is missing: the study did not finish; no trial is known")
        return trials(StudyState())
    except (parquet.DamagedTableError, OSError) as error:
        raise RunError(f"{path}: is damaged ({error}), and there is no log to make it from") from error
    for name, choices in study.choices.items():
        column = f"params_{name}"
        if column in frame:
            frame[column] = pd.Categorical(
                frame[column], categories=_with_found(choices, frame[column].dropna())
            )
    return frame


def first_of_each(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Keep the first of the rows with equal keys."""
    duplicated = frame.duplicated(list(key))
    return frame[~duplicated].reset_index(drop=True) if duplicated.any() else frame


def ledger(trials: pd.DataFrame) -> pd.DataFrame:
    """The ledger's columns of `trials`, times as timedeltas."""
    held = {
        name.removeprefix("ledger_"): trials[name] for name in map(str, trials) if name.startswith("ledger_")
    }
    ended = trials["state"] != RUNNING
    unspent = pd.Series(0.0, trials.index).where(ended)  # what never happened is not in the log's ledger
    seconds = {name: held.pop(f"{name}_s", unspent).astype("float64").fillna(unspent) for name in TIMES}
    times = {name: pd.to_timedelta(values, unit="s").astype(SPAN) for name, values in seconds.items()}
    frame = pd.DataFrame({"number": trials["number"], "state": trials["state"], **times})
    if "cpu_s" in held:  # of commands
        frame = frame.assign(cpu=pd.to_timedelta(held.pop("cpu_s").astype("float64"), unit="s").astype(SPAN))
    if "examples" in held:
        rate = held["examples"].astype("float64") / seconds["train"].where(seconds["train"] > 0)
        frame = frame.assign(examples=held.pop("examples").astype("Int64"), examples_per_s=rate)
    return frame.assign(**{name: _whole(values) for name, values in held.items()})


def checkpoints(run_dir: Path, records: Iterable[Record]) -> pd.DataFrame:
    """The checkpoints that were recorded, not removed, and are on disk or were sent to a store."""
    state = CheckpointsState()
    for record in records:
        state.add(record)
    rows = [
        {
            **each.snapshot.as_fields(),
            "path": each.url or str((run_dir / path).resolve()),
            "time": each.time,
        }
        for path, each in state.kept.items()
        if each.is_there(run_dir)
    ]
    return _table(rows, CHECKPOINT_TYPES)


def events(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record."""
    rows, session = [], 0
    for record in records:
        session = record["session"] if record["event"] == "opened" else session
        text = next((record[name] for name in _TEXT if record.get(name) is not None), None)
        rows.append({**record, "session": max(session, 1), "text": text})
    return _table(rows, EVENT_TYPES)


def sessions(records: Iterable[Record]) -> pd.DataFrame:
    """One row per `opened`, with the `closed` that belongs to it."""
    rows: list[dict[str, Any]] = []
    for record in records:
        if record["event"] == "opened":
            rows.append({**record, "opened": record["time"], "reason": None})
        elif record["event"] == "closed" and rows:
            rows[-1] |= {
                "closed": record["time"],
                "reason": record["reason"],
                **_flat(record.get("ledger", {})),
            }
    spans = dict.fromkeys((name for row in rows for name in row if name.startswith("_")), SPAN)
    frame = _table(rows, {**SESSION_TYPES, **spans})
    return frame.rename(columns={name: name.removeprefix("_") for name in spans})


def candidates(trials: pd.DataFrame, columns: Sequence[str]) -> list[Candidate]:
    """The trials as they are ranked, each under the label of its row; `columns` hold one value an objective.

    Raises RunError where there is no such column.
    """
    if missing := [name for name in columns if name not in trials]:
        raise RunError(f"the trials have no column {missing[0]}: the study file or the log is not theirs")
    broken = trials["feasible"].eq(False).fillna(False) if "feasible" in trials else [False] * len(trials)
    values = trials[list(columns)].astype("float64").itertuples(index=False, name=None)
    return [
        Candidate(label, found, str(state), not bad)
        for label, found, state, bad in zip(trials.index, values, trials["state"], broken, strict=True)
    ]


def rows(trials: pd.DataFrame, ranked: Iterable[Candidate]) -> pd.DataFrame:
    """The rows of some candidates, in their order."""
    return trials.loc[[each.number for each in ranked]].reset_index(drop=True)


def _flat(ledger: Mapping[str, Any], prefix: str = "_") -> dict[str, float]:
    """A session's ledger as `_wall`, `_driver_ask`, `_slots_working` and so on, in seconds."""
    flat: dict[str, float] = {}
    for name, value in ledger.items():
        flat |= (
            _flat(value, f"{prefix}{name}_")
            if isinstance(value, dict)
            else {prefix + name.removesuffix("_s"): value}
        )
    return flat


def _table(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Lay rows out under the columns of `types`; what a row lacks is missing; times come as seconds."""
    columns = {name: [row.get(name) for row in rows] for name in types}
    return pd.DataFrame({name: _typed(values, types[name]) for name, values in columns.items()})


def _typed(values: list[Any], kind: str) -> pd.Series[Any]:
    if kind == WHEN:
        when: pd.Series[Any] = pd.to_datetime(pd.Series(values, dtype="float64"), unit="s", utc=True)
        return when.astype(WHEN)
    if kind == SPAN:
        span: pd.Series[Any] = pd.to_timedelta(pd.Series(values, dtype="float64"), unit="s")
        return span.astype(SPAN)
    return pd.Series(values, dtype=kind)


def _series(name: str, values: list[Any], choices: Mapping[str, list[Any]]) -> pd.Series[Any]:
    """Make a column of `trials` with the type its name or its values ask for."""
    if name in TRIAL_TYPES:
        return pd.Series(values, dtype=TRIAL_TYPES[name])
    if name == "value" or name.startswith("values_"):
        return pd.Series(values, dtype="float64")
    known = choices.get(name.removeprefix("params_")) if name.startswith("params_") else None
    if known is not None:
        return pd.Series(pd.Categorical(values, categories=_with_found(known, values)))
    if any(value is None for value in values) and all(type(value) in (int, type(None)) for value in values):
        return pd.Series(values, dtype="Int64")
    return pd.Series(values)


def _with_found(choices: Iterable[Any], values: Iterable[Any]) -> list[Any]:
    return [value for value in dict.fromkeys([*choices, *values]) if value is not None]


def _whole(values: pd.Series[Any]) -> pd.Series[Any]:
    """Counts come as floats where some are missing: as integers again where all are whole."""
    if not pd.api.types.is_float_dtype(values):
        return values
    present = values.dropna()
    return values.astype("Int64") if len(present) and (present % 1 == 0).all() else values
