"""`sweep export`: a run's tables as the bytes of a CSV, JSON or Parquet file."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from sweep.errors import RunDirError

if TYPE_CHECKING:
    import pandas as pd

Format = Literal["csv", "parquet", "json"]
TableName = Literal["trials", "metrics", "checkpoints"]


class Exported(NamedTuple):
    """A table's bytes, and what of the run could not be read."""

    data: bytes
    damage: tuple[str, ...]


def export(run_dir: str | Path, table: TableName = "trials", form: Format = "csv") -> Exported:
    """One table of a run in a format. Raises RunDirError where there is no run."""
    import analysis

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", analysis.RunWarning)
        try:
            frame: pd.DataFrame = getattr(analysis.load(Path(run_dir)), table)
        except analysis.RunError as error:
            raise RunDirError(str(error)) from error
    return Exported(encode(frame, form), tuple(dict.fromkeys(str(each.message) for each in caught)))


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
