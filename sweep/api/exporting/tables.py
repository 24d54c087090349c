"""`sweep export`, `sweep export-adapter`: a run's tables and adapters in formats of others."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from sweep.errors import RunDirError, SweepError

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "parquet", "json"]
TableName = Literal["trials", "metrics", "checkpoints"]


class Exported(NamedTuple):
    """A table's bytes, and what of the run could not be read."""

    data: bytes
    damage: tuple[str, ...]


class ExportedAdapter(NamedTuple):
    """The trial whose adapter was written, the commands that use it, and what has changed since the run."""

    trial: int
    commands: tuple[str, ...]
    warnings: tuple[str, ...]


def export(run_dir: str | Path, table: TableName = "trials", form: Format = "csv") -> Exported:
    """One table of a run in a format. Raises RunDirError where there is no run."""
    import analysis

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", analysis.RunWarning)
        try:
            frame: pd.DataFrame = getattr(analysis.load(Path(run_dir)), table)
        except analysis.RunError as error:
            raise RunDirError(str(error)) from error
    return Exported(encode(frame, form), _texts(caught))


def export_adapter(run_dir: str | Path, out: Path, trial: int | None = None) -> ExportedAdapter:
    """Write a trial's adapter, the best trial's by default.

    Raises SweepError where there is no such trial or checkpoint, or the task has no adapters.
    """
    import analysis

    if (out / "adapters.safetensors").exists():
        raise SweepError(f"{out}: already holds an adapter and is not overwritten. Choose another folder")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", analysis.RunWarning)
            run = analysis.load(run_dir)
            if trial is None:
                best = run.best()
                if best.empty:
                    raise RunDirError(f"{run_dir}: no trial is complete. Name one by its number")
                trial = int(best["number"].iloc[0])
            commands = run.export_adapter(trial, out)
        return ExportedAdapter(trial, tuple(commands), _texts(caught))
    except analysis.RunError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise SweepError(f"{out}: cannot be written: {error.strerror or error}") from error


def _texts(caught: Iterable[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(each.message) for each in caught))


def encode(frame: pd.DataFrame, form: Format) -> bytes:
    """The table as the bytes of a file."""
    match form:
        case "csv":
            return frame.to_csv(index=False).encode()
        case "json":
            return _json(frame)
        case "parquet":
            data: bytes = frame.to_parquet(index=False)
            return data


def _json(frame: pd.DataFrame) -> bytes:
    """A list of objects, times in ISO 8601, what is missing as null, an infinite number as "Infinity".

    pandas' own writer keeps fifteen digits of a number at most, which is not all of them.
    """
    words = {math.inf: "Infinity", -math.inf: "-Infinity"}
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    plain = [
        {name: words.get(value, value) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]
    return json.dumps(plain, default=lambda moment: moment.isoformat()).encode() + b"\n"
