"""The verb that takes another tool's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file of W&B, Hydra, Determined or Ray Tune.")
    ],
    into: Annotated[
        Path | None, typer.Option(metavar="STUDY", help="The study file; else FILE's name with .study.yaml.")
    ] = None,
    program: Annotated[
        str | None, typer.Option(metavar="SCRIPT", help="The script to run, where FILE names none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a study file from another tool's, and say what it could not say.

    \b
    sweep import sweep.yaml                       a sweep of W&B
    sweep import conf/config.yaml --program my_app.py
    """
    from sweep.api.importing.converting import import_file

    with errors_end_the_command():
        found = import_file(file, into=into, program=program)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    print(f"wrote {found.path}, from {found.kind}")
    for text in found.unsaid:
        print(f"not as there: {text}")
    print(f"next: python -m sweep check {found.path}")
