"""The verb that trains trials of a run again: replay."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory


def replay(
    run: RunDirectory,
    trial: Annotated[
        list[int] | None, typer.Argument(min=0, metavar="TRIAL", help="Only these trials; default: all.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only so many of them, spread evenly.")
    ] = None,
    accept_changed_task: Annotated[
        bool, typer.Option("--accept-changed-task", help="Train the task as it is now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train trials again from their record, each alone, and compare: reports, and weights that are kept.

    \b
    sweep replay runs/digits 12          one trial
    sweep replay runs/digits             all of them, the proposals and the verdicts
    sweep replay runs/digits --trials 5  five of them
    """
    from sweep.api.replaying.replay import replay as replayed

    with errors_end_the_command():
        found = replayed(
            run,
            trial or None,
            trials=trials,
            accept_changed_task=accept_changed_task,
            say=(lambda text: None) if as_json else typer.echo,
        )
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        if found.proposals is not None:
            print(f"proposals and verdicts: {found.proposals}")
        count = len(found.trials)
        print(
            f"{count} trials trained again: all equal, bit for bit"
            if found.is_equal
            else f"the first difference: {found.difference}"
        )
    if not found.is_equal:
        raise typer.Exit(1)
