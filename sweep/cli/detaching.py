"""Studies that run on a cluster's head while this machine looks on or leaves: attach, fetch."""

from __future__ import annotations

from pathlib import Path

import typer

from sweep.cli.ending import errors_end_the_command, results_on_stdout
from sweep.cli.options import AsJson, RunsFolder, StudyFile, print_json


def attach(study: StudyFile, runs: RunsFolder = Path("runs"), as_json: AsJson = False) -> None:
    """Follow a study that runs on its cluster's head, to its end; then fetch its results.

    Ctrl-C detaches; the study keeps running. Exits with the study's exit code.

    \b
    sweep attach study.yaml
    """
    from sweep.api.remote import remote_study

    with results_on_stdout(as_json), errors_end_the_command():
        run_dir, code = remote_study(study).follow(runs)
    if as_json:
        print_json({"run_dir": run_dir, "exit_code": code})
    else:
        print(f"results: {run_dir}")
    raise typer.Exit(code)


def fetch(study: StudyFile, runs: RunsFolder = Path("runs"), as_json: AsJson = False) -> None:
    """Bring the results of a study on its cluster's head here, while it runs or after.

    \b
    sweep fetch study.yaml
    """
    from sweep.api.remote import remote_study

    with errors_end_the_command():
        run_dir = remote_study(study).fetch(runs)
    if as_json:
        print_json({"run_dir": run_dir})
    else:
        print(f"results: {run_dir}")
