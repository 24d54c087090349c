"""The verb that writes a run's report."""

from __future__ import annotations

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory, print_json


def report(run: RunDirectory, as_json: AsJson = False) -> None:
    """Write a run's report: one HTML file with plots, the table and the best configuration.

    \b
    sweep report runs/digits
    """
    from sweep.api.report import write_report

    with errors_end_the_command():
        path = write_report(run)
    if as_json:
        print_json({"path": path})
    else:
        print(path)
