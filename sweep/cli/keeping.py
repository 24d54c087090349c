"""`sweep rm` deletes checkpoints that are no longer wanted; `sweep verify` says whether a run is sound."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, print_json
from sweep.errors import SweepError


def rm(
    run: RunDirectory,
    keep_best: Annotated[
        int, typer.Option("--keep-best", min=0, metavar="N", help="Keep those of the N best trials.")
    ] = 1,
    trial: Annotated[
        list[int] | None,
        typer.Option("--trial", min=0, metavar="T", help="Only this trial's; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a run's checkpoints, all but those of the best trials; tables and log stay.

    Checkpoints of trials that have not ended always stay: the trials resume from them. Those of trials with
    the tag `star` go only where they are named with --trial.

    \b
    sweep rm runs/digits                    all but the best trial's
    sweep rm runs/digits --keep-best 0      all
    sweep rm runs/digits --trial 3 --yes    those of trial 3, without asking
    """
    from sweep.api.keeping.remove import carry_out, plan_removal

    with errors_end_the_command():
        removal = plan_removal(run, keep_best=keep_best, trials=trial or ())
        if removal.checkpoints and not yes and (as_json or not sys.stdin.isatty()):
            raise SweepError(f"{run}: not deleted: no terminal to confirm on. Pass --yes")
        if as_json:
            carry_out(removal)
            print_json(removal.as_json())
            return
        if not removal.checkpoints:
            print(f"{run}: nothing to delete; {removal.staying} checkpoints stay")
            return
        print(removal.as_text())
        if not yes and not typer.confirm("delete them?"):
            print("nothing was deleted")
            return
        carry_out(removal)
    print("deleted")


def verify(
    run: RunDirectory,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild from the log what it holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every file of a run, and say what is sound and what is damaged.

    Ends with 1 where a file is damaged. With --repair damaged checkpoints are set aside, and all that the log
    holds is made again from it. Lines of the log itself cannot be rebuilt.

    \b
    sweep verify runs/digits
    sweep verify runs/digits --repair
    """
    from sweep.api.keeping.verify import verify as verify_run

    with errors_end_the_command():
        found = verify_run(run, repair=repair)
    print(json.dumps(found.as_json()) if as_json else found.as_text())
    if not found.sound:
        raise typer.Exit(1)
