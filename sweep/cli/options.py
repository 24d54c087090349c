"""Arguments and options that several verbs share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study file, such as study.yaml.")]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/digits.")]
RunsFolder = Annotated[Path, typer.Option(metavar="DIR", help="Where run directories lie.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]


def print_json(value: object) -> None:
    """What `--json` prints; paths as text."""
    print(json.dumps(value, default=os.fspath))
