"""Open a run directory as DataFrames, while the study runs or afterwards; reading only."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from runlog import layout
from runlog.reader import Damage, NewerFormatError, read_batches
from runlog.records import Record
from runlog.study import StudyFold, read_study, trial_columns
from runlog.tables import KEY, read_metrics

_Result = TypeVar("_Result")


class RunError(Exception):
    """A run directory is missing, empty, or written by a newer version; one line says which."""


class RunWarning(UserWarning):
    """Something in a run directory is damaged; all the rest was read."""


def load(run_dir: str | Path) -> Run:
    """Open a run directory; tables are read when they are asked for.

    Raises RunError where there is none, or a newer version wrote it.
    """
    path = Path(run_dir)
    log = path / layout.LOG
    if not path.is_dir():
        raise RunError(f"{path}: is no directory; give the path of a run, such as runs/digits")
    if not log.is_file():
        raise RunError(f"{path}: is not a run directory, it has no {layout.LOG}; give the path of a run")
    _reading(lambda: next(read_batches(log, kinds=("opened",), on_damage=_warn_of_damage), None))
    return Run(path)


class Run:
    """One study's tables, each read when it is first asked for; load again to see what came since."""

    def __init__(self, path: Path) -> None:
        """Use `load`."""
        self.path = path

    def __repr__(self) -> str:
        return f"analysis.load({str(self.path)!r})"

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial, RUNNING ones too, in Optuna's column names.

        `number, value` (several objectives: `values_<metric>`), `datetime_start, datetime_complete`
        (aware, UTC), `duration` (timedelta), `params_<name>` (category where the study file lists choices;
        missing where inactive), `state, reason`, and the ledger as `ledger_<name>`.
        """
        fold = self._study
        columns = trial_columns(fold)
        return pd.DataFrame({name: _series(name, values, fold) for name, values in columns.items()})

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a report, no (trial, replicate, examples) twice, in the order of the log.

        `trial, replicate, examples, epoch, updates, attempt, width, lane, host, time` (aware, UTC), and a
        float column a metric.
        """
        table = _reading(lambda: read_metrics(self.path, on_damage=_warn_of_damage, on_unreadable=_warn))
        frame: pd.DataFrame = table.to_pandas()
        return frame.drop_duplicates(list(KEY), ignore_index=True)

    @cached_property
    def checkpoints(self) -> pd.DataFrame:
        """One row a checkpoint on disk: `trial, replicate, examples, path, bytes, sha256, final, time`.

        `path` is absolute, `time` aware in UTC.
        """
        stored = [(self.path / path, record) for path, record in self._checkpoint_records().items()]
        rows = [{**record, "path": str(path.resolve())} for path, record in stored if path.is_file()]
        frame = pd.DataFrame({name: [row[name] for row in rows] for name in _CHECKPOINT_TYPES})
        frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
        return frame.astype(_CHECKPOINT_TYPES)

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """(metric, direction) pairs of the study, directions as Optuna spells them."""
        return list(self._study.objectives)

    @cached_property
    def _study(self) -> StudyFold:
        return _reading(lambda: read_study(self.path, on_damage=_warn_of_damage))

    def _checkpoint_records(self) -> dict[str, Record]:
        kinds = ("checkpoint", "checkpoint_removed")
        found: dict[str, Record] = {}
        for batch in read_batches(self.path / layout.LOG, kinds=kinds, on_damage=_warn_of_damage):
            for record in batch:
                if record["event"] == "checkpoint":
                    found[record["path"]] = record
                elif record["event"] == "checkpoint_removed":
                    found.pop(record["path"], None)
        return found


_CHECKPOINT_TYPES = {
    "trial": "int64",
    "replicate": "int64",
    "examples": "int64",
    "path": "str",
    "bytes": "int64",
    "sha256": "str",
    "final": "bool",
    "time": "datetime64[us, UTC]",
}

_TRIAL_TYPES = {
    "number": "int64",
    "datetime_start": "datetime64[us, UTC]",
    "datetime_complete": "datetime64[us, UTC]",
    "duration": "timedelta64[us]",
    "state": "str",
    "reason": "str",
}


def _series(name: str, values: list[Any], fold: StudyFold) -> pd.Series[Any]:
    """Make a column of `trials` with the type its name or its values ask for."""
    if name in _TRIAL_TYPES:
        return pd.Series(values, dtype=_TRIAL_TYPES[name])
    if name == "value" or name.startswith("values_"):
        return pd.Series(values, dtype="float64")
    choices = fold.choices.get(name.removeprefix("params_")) if name.startswith("params_") else None
    if choices is not None:
        found = [value for value in dict.fromkeys([*choices, *values]) if value is not None]
        return pd.Series(pd.Categorical(values, categories=found))
    if any(value is None for value in values) and all(type(value) in (int, type(None)) for value in values):
        return pd.Series(values, dtype="Int64")
    return pd.Series(values)


def _reading(read: Callable[[], _Result]) -> _Result:
    try:
        return read()
    except NewerFormatError as error:
        raise RunError(str(error)) from error
    except OSError as error:
        raise RunError(f"cannot be read: {error}") from error


def _warn_of_damage(damage: Damage) -> None:
    _warn(f"{damage.path.parent}: {damage}")


def _warn(text: str) -> None:
    warnings.warn(text, RunWarning, stacklevel=2)
