"""What `warm_start` names: run directories, and tables with the columns that Optuna gives them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import optuna

from runlog import layout
from sweep.errors import RunDirError, SpecError
from sweep.rundir.history import History, boundary_rows, read_history, read_reports
from sweep.rundir.recorded_files import read_recorded
from sweep.search.ends import end_of
from sweep.spec.conditions import contains, same
from sweep.spec.edited.differences import differences
from sweep.spec.edited.fitting import entry_of
from sweep.spec.parse import parse
from sweep.spec.schema import Choices, Entry, StudySpec
from sweep.vocabulary.trial import Outcome, Scalar, TrialState

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")

PARAMS = "params_"


@dataclass(frozen=True)
class Known:
    """A trial of elsewhere that has ended: `params` was varied there, `hyperparameters` is all it had.

    `ended` is when, in seconds since 1970; None where that is not known.
    """

    number: int
    params: Mapping[str, Scalar]
    hyperparameters: Mapping[str, Scalar]
    state: optuna.trial.TrialState
    values: list[float] | None
    reports: Mapping[int, float] = field(default_factory=dict)
    diverged: bool = False
    constraints: Mapping[str, float] = field(default_factory=dict)
    ended: float | None = None


@dataclass(frozen=True)
class Source:
    """The trials of one source as they ended, the entries by which they were asked, its place in the file."""

    trials: Sequence[Known]
    before: Mapping[str, Entry]
    place: tuple[str | int, ...]


def source(spec: StudySpec, index: int) -> Source:
    """One of the sources that the study names. Raises SpecError."""
    path = spec.folder / spec.warm_start[index]
    listed = isinstance(spec.document.at(("warm_start",)), list)
    place: tuple[str | int, ...] = ("warm_start", index) if listed else ("warm_start",)
    if (path / layout.LOG).is_file() and (path / layout.STUDY).is_file():
        return _run(spec, path, place)
    if path.suffix in TABLES and path.is_file():
        return Source(list(_rows(spec, path, place)), {}, place)
    what = f"{path} is no run directory, and no table ({', '.join(TABLES)})"
    remedy = "give its path from the study file's folder"
    raise SpecError([spec.document.problem(place, what, "", remedy)])


def _run(spec: StudySpec, path: Path, place: tuple[str | int, ...]) -> Source:
    try:
        earlier = parse(read_recorded(path, layout.STUDY), str(path / layout.STUDY))
        history = read_history(path)
    except RunDirError as error:
        raise SpecError([spec.document.problem(place, f"cannot be read: {error}", "")]) from error
    changes = differences(earlier, spec, ("objective",))
    if changes:
        differing = "; ".join(f"{each.key} was {each.old} there, is {each.new}" for each in changes)
        what = f"that run has another objective: {differing}"
        raise SpecError([spec.document.problem(place, what, "", "make them the same, or remove it")])
    before: dict[str, Entry] = {}
    for edit in history.study.edits:
        before |= {name: entry_of(entry) for name, entry in edit["before"]["space"].items()}
    before |= earlier.space
    return Source(list(_trials(spec, path, history, earlier.trial.replicates, before)), before, place)


def _trials(
    spec: StudySpec, path: Path, history: History, replicates: int, varied: Container[str]
) -> Iterator[Known]:
    """Trials that say something of their hyperparameters: what broke does not."""
    rows = history.study.trials
    teaching = [each for each in history.told.values() if each.state is not TrialState.FAIL or each.diverged]
    teaching.sort(key=lambda outcome: (rows[outcome.number].told or 0.0, outcome.number))
    reports = read_reports(path, {outcome.number for outcome in teaching}) if teaching else {}
    for outcome in teaching:
        row = rows[outcome.number]
        at = boundary_rows(reports.get(outcome.number, ()), spec.objective[0].metric, replicates)
        state, values = end_of(spec, outcome)
        yield Known(
            outcome.number,
            {**{name: each for name, each in row.hyperparameters.items() if name in varied}, **row.params},
            row.hyperparameters,
            state,
            values,
            {examples: fmean(row) for examples, row in at} if len(spec.objective) == 1 else {},
            outcome.diverged,
            outcome.constraints,
            row.told,
        )


def _rows(spec: StudySpec, path: Path, place: tuple[str | int, ...]) -> Iterator[Known]:
    """The trials of a table; one without a value, or that broke, says nothing."""
    table = _table(spec, path, place)
    columns = _value_columns(spec, table.columns)
    if missing := [name for name in columns if name not in table.columns]:
        what = f"the table has no column {missing[0]}"
        remedy = "write it as Optuna's study.trials_dataframe() does, or `sweep export`"
        raise SpecError([spec.document.problem(place, what, "", remedy)])
    for index, cells in enumerate(table.to_dict("records")):
        row = {str(name): cell for name, cell in cells.items()}
        try:
            outcome = _outcome(index, row, columns)
        except ValueError as error:
            what = f"row {index + 1} of the table cannot be read: {error}"
            raise SpecError([spec.document.problem(place, what, "", "correct the table")]) from error
        if outcome is None:
            continue
        params = {name: _value(spec.space.get(name), row.get(PARAMS + name)) for name in _names(table)}
        had = {name: each[0] for name, each in params.items() if each}
        state, values = end_of(spec, outcome)
        yield Known(outcome.number, had, had, state, values, diverged=outcome.diverged)


def _table(spec: StudySpec, path: Path, place: tuple[str | int, ...]) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise SpecError([spec.document.problem(place, what, "", "give another table")]) from error


def _names(table: pd.DataFrame) -> list[str]:
    return [str(name).removeprefix(PARAMS) for name in table.columns if str(name).startswith(PARAMS)]


def _value_columns(spec: StudySpec, known: Any) -> list[str]:
    """Where a table has the objectives' values: under our names, or under Optuna's."""
    if len(spec.objective) == 1:
        return ["value"]
    ours = [f"values_{each.metric}" for each in spec.objective]
    return ours if ours[0] in known else [f"values_{index}" for index in range(len(ours))]


def _outcome(index: int, row: Mapping[str, Any], columns: Sequence[str]) -> Outcome | None:
    number = int(row.get("number", index))
    state = str(row.get("state", "COMPLETE")).removeprefix("TrialState.")
    values = tuple(float(row[name]) for name in columns)
    if row.get("diverged") is True or (state == "COMPLETE" and not all(map(isfinite, values))):
        is_known = not any(map(isnan, values)) or row.get("diverged") is True
        return Outcome(number, TrialState.FAIL, reason="diverged", diverged=True) if is_known else None
    if state == "COMPLETE":
        return Outcome(number, TrialState.COMPLETE, values)
    return Outcome(number, TrialState.PRUNED) if state == "PRUNED" else None


def _value(entry: Entry | None, cell: Any) -> tuple[Scalar, ...]:
    """What a cell stands for, nothing where it is empty; choices are known by their text, too."""
    value = cell.item() if hasattr(cell, "item") else cell
    if value is None or value != value:
        return (None,) if isinstance(entry, Choices) and contains(entry, None) else ()
    if not isinstance(value, bool | int | float | str):
        value = str(value)
    if isinstance(entry, Choices) and not contains(entry, value):
        return next(((each,) for each in entry.choices if _is_text_of(each, value)), (value,))
    return (value,)


def _is_text_of(choice: Scalar, value: Scalar) -> bool:
    return same(str(choice), str(value)) or (isinstance(choice, bool) and str(choice).lower() == str(value))
