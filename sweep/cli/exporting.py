"""`sweep export`, `export-adapter`, `export-schedule`: a run's tables, adapters and schedules as files."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, print_json
from sweep.errors import SweepError


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
    as_json: AsJson = False,
) -> None:
    """Write a run's table of trials, reports or checkpoints as CSV, Parquet or JSON.

    \b
    sweep export runs/digits > trials.csv
    sweep export runs/digits --format json | jq '.[0]'
    sweep export runs/digits --table metrics --format parquet --to metrics.parquet
    """
    from sweep.api.exporting.tables import export as export_table

    with errors_end_the_command():
        if form is Format.parquet and to is None and sys.stdout.isatty():
            raise SweepError("export: Parquet cannot be shown in a terminal. Pass --to FILE")
        rows_alone = as_json and to is None
        found = export_table(run, table.value, "json" if rows_alone else form.value)
        if rows_alone:
            print_json({"table": table.value, "rows": json.loads(found.data), "damage": found.damage})
            return
        for text in found.damage:
            print(text, file=sys.stderr)
        if to is None:
            sys.stdout.buffer.write(found.data)
            sys.stdout.flush()
            return
        try:
            to.write_bytes(found.data)
        except OSError as error:
            raise SweepError(f"{to}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json({"table": table.value, "path": to, "damage": found.damage})
    else:
        print(f"wrote {to}")


def export_adapter(
    run: RunDirectory,
    trial_and_out: Annotated[
        list[str],
        typer.Argument(metavar="[TRIAL] OUT", help="A trial by number, else the best; the folder to write."),
    ],
    as_json: AsJson = False,
) -> None:
    """Write the adapter that a trial learned, as mlx-lm does.

    \b
    sweep export-adapter runs/lora adapters
    sweep export-adapter runs/lora 7 adapters
    """
    from sweep.api.exporting.tables import export_adapter as write_adapter

    with errors_end_the_command():
        *trial, out = trial_and_out
        if len(trial) > 1 or not all(each.isdecimal() for each in trial):
            raise SweepError(
                f"export-adapter: {' '.join(trial_and_out)}: is not [TRIAL] OUT. "
                "Give a trial's number, or none for the best, and one folder"
            )
        written = write_adapter(run, Path(out), int(trial[0]) if trial else None)
    if as_json:
        print_json({"path": out, **written._asdict()})
        return
    for text in written.warnings:
        print(text, file=sys.stderr)
    print(f"wrote trial {written.trial} to {out}")
    for command in written.commands:
        print(command)


def export_schedule(
    run: RunDirectory,
    trial: Annotated[
        int | None, typer.Argument(min=0, metavar="[TRIAL]", help="A trial by number; else the best.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The new study's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the schedule that a member of a population came by, as a study file of one trial.

    It lies beside the run's own, and trains from the beginning to the member's weights.

    \b
    sweep export-schedule runs/pbt
    sweep export-schedule runs/pbt 7 --name decay
    """
    from sweep.api.exporting.schedule import export_schedule as write_schedule

    with errors_end_the_command():
        written = write_schedule(run, trial, name=name)
    if as_json:
        print_json(written._asdict())
        return
    print(f"wrote the schedule of trial {written.trial} to {written.path}, {written.pieces} pieces")
    print(f"next: python -m sweep run {written.path}")
