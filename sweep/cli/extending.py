"""The verb that trains finished trials for longer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, RunsFolder
from sweep.cli.studies import run


def extend(
    run_dir: RunDirectory,
    length: Annotated[str, typer.Option(metavar="LENGTH", help='The new length, such as "40 epochs".')],
    best: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many of the best; without it, all kept.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The new study's name.")] = None,
    stretch_schedule: Annotated[
        bool, typer.Option("--stretch-schedule", help="Stretch learning rates over the new length.")
    ] = False,
    runs: RunsFolder = Path("runs"),
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train the best trials of a run for longer, from their checkpoints, as a study of its own.

    Writes the new study file beside the run's own and runs it; each trial keeps its key. A schedule ends
    where it did, and the rate stays as it then was, unless it is stretched.

    \b
    sweep extend runs/digits --length "40 epochs"
    sweep extend runs/digits --length "40 epochs" --best 1 --stretch-schedule
    """
    from sweep.api.extend import write_extension

    with errors_end_the_command():
        path = write_extension(run_dir, length, best=best, name=name, stretch=stretch_schedule)
    run(path, runs=runs, as_json=as_json, quiet=quiet)
