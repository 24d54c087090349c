"""Verbs on run directories: they read files alone, while a study runs or after."""

from __future__ import annotations

import json

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, RunDirectory


def status(run: RunDirectory, as_json: AsJson = False) -> None:
    """Say what has happened in a run directory, while it runs or after, from its files alone."""
    from sweep.status import as_text, read_status

    with errors_end_the_command():
        found = read_status(run)
    if as_json:
        from dataclasses import asdict

        print(json.dumps(asdict(found)))
    else:
        print(as_text(found))
