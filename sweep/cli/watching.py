"""Verbs that show a run in the browser: report, watch, ui."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, print_json


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or a folder of them.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's report, or of a folder of runs a page with all of them: one HTML file.

    \b
    sweep report runs/digits
    sweep report runs
    """
    from sweep.api.overview.index import is_folder_of_runs, write_index
    from sweep.api.pages.report import write_report

    with errors_end_the_command():
        if is_folder_of_runs(run):
            written = write_index(run)
            if as_json:
                print_json(asdict(written))
                return
            print(written.path)
            for text in written.problems:
                print(text, file=sys.stderr)
            return
        path = write_report(run)
    if as_json:
        print_json({"path": path})
    else:
        print(path)


def watch(
    run: RunDirectory,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 takes a free one.")] = 8081,
    as_json: AsJson = False,
) -> None:
    """Open a run's page in the browser, kept up to date while the study runs; it only reads. Ctrl-C stops it.

    \b
    sweep watch runs/digits
    sweep watch runs/digits --port 0
    """
    with errors_end_the_command(interrupted="stopped"):
        from sweep.api.pages.watch import serve

        serve(run, host=host, port=port, on_ready=_say_json if as_json else _say)


def ui(
    run: RunDirectory,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 takes a free one.")] = 8080,
    as_json: AsJson = False,
) -> None:
    """Open optuna-dashboard on a run, while it runs or after; it only reads. Ctrl-C stops it.

    \b
    sweep ui runs/digits
    sweep ui runs/digits --port 0
    """
    with errors_end_the_command(interrupted="stopped"):
        from sweep.api.pages.ui import serve

        serve(run, host=host, port=port, on_ready=_say_json if as_json else _say)


def _say_json(address: str) -> None:
    print(json.dumps({"address": address}), flush=True)


def _say(address: str) -> None:
    print(f"{address} (Ctrl-C stops it; all who reach this address can read the study)", flush=True)
