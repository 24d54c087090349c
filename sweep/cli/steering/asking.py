"""What verbs that steer share: the run that is meant, and how an answer is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import print_json

if TYPE_CHECKING:
    from sweep.api.steering.asking import Asked

Steered = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run directory, such as runs/digits, or its study file.")
]
Trial = Annotated[int, typer.Argument(min=0, metavar="TRIAL", help="The trial's number.")]


def print_answer(ask: Callable[[], Asked], *, as_json: bool) -> None:
    """Ask, and print the answer; a refusal ends the command."""
    with errors_end_the_command():
        asked = ask()
    if as_json:
        print_json(asked.as_json())
    else:
        print(asked.as_text())
