"""`sweep export`: a run's tables in other formats."""

from __future__ import annotations

import json
import math
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import RunDirectory
from sweep.errors import RunDirError, SweepError

if TYPE_CHECKING:
    import pandas as pd


class Format(StrEnum):
    """What `export` writes."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


class Table(StrEnum):
    """What a run holds."""

    trials = "trials"
    metrics = "metrics"
    checkpoints = "checkpoints"


def export(
    run: RunDirectory,
    form: Annotated[Format, typer.Option("--format", "-f", help="The format.")] = Format.csv,
    table: Annotated[Table, typer.Option("--table", "-t", help="Which table.")] = Table.trials,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="A file instead of stdout.")] = None,
) -> None:
    """Write a run's table of trials, reports or checkpoints as CSV, Parquet or JSON.

    \b
    sweep export runs/digits > trials.csv
    sweep export runs/digits --format json | jq '.[0]'
    sweep export runs/digits --table metrics --format parquet --to metrics.parquet
    """
    with errors_end_the_command():
        if form is Format.parquet and to is None and sys.stdout.isatty():
            raise SweepError("export: Parquet must go to a file or a pipe, not to a terminal; say --to FILE")
        data = encode(read_table(run, table), form)
        if to is None:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
            return
        try:
            to.write_bytes(data)
        except OSError as error:
            raise SweepError(f"{to}: cannot be written: {error.strerror or error}") from error
    print(f"wrote {to}")


def read_table(run: Path, table: Table) -> pd.DataFrame:
    """One table of a run; what is damaged is said on stderr, all the rest is read. Raises RunDirError."""
    import analysis

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", analysis.RunWarning)
        try:
            frame: pd.DataFrame = getattr(analysis.load(run), table.value)
        except analysis.RunError as error:
            raise RunDirError(str(error)) from error
    for text in dict.fromkeys(str(each.message) for each in caught):
        print(text, file=sys.stderr)
    return frame


def encode(frame: pd.DataFrame, form: Format) -> bytes:
    """The table as the bytes of a file."""
    match form:
        case Format.csv:
            return frame.to_csv(index=False).encode()
        case Format.json:
            return _json(frame)
        case Format.parquet:
            data: bytes = frame.to_parquet(index=False)
            return data


def _json(frame: pd.DataFrame) -> bytes:
    """A list of objects, times in ISO 8601, what is missing or not finite as null.

    pandas' own writer keeps fifteen digits of a number at most, which is not all of them.
    """
    floats = frame.select_dtypes("float")
    finite = frame.assign(**floats.replace([math.inf, -math.inf], math.nan))
    rows = finite.astype(object).where(finite.notna(), None).to_dict("records")
    return json.dumps(rows, default=lambda moment: moment.isoformat()).encode() + b"\n"
