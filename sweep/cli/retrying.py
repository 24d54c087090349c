"""The verb that asks failed trials again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, print_json


def retry(
    run: RunDirectory,
    trials: Annotated[
        list[int] | None, typer.Argument(min=0, metavar="[TRIAL]...", help="Failed trials by number.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that broke; those that diverged are left out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask failed trials again, with their own hyperparameters, when the study is next run.

    They no longer count in the budget. The table says in the column `retries` which trial tries which again.

    \b
    sweep retry runs/digits --failed     all that broke
    sweep retry runs/digits 3 17         these
    """
    from sweep.api.retry import retry as retry_trials

    if failed == bool(trials):
        raise typer.BadParameter("give either trial numbers or --failed")
    with errors_end_the_command():
        found = retry_trials(run, trials or ())
    if as_json:
        print_json(asdict(found))
    else:
        print(found.as_text())
