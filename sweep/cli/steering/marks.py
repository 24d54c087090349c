"""Verbs that write on a run, while it runs or after: note, tag."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.cli.options import AsJson
from sweep.cli.steering.asking import Steered, print_answer


def note(
    run: Steered,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[TRIAL] TEXT", help="A trial by number, else the run; what to note."),
    ],
    as_json: AsJson = False,
) -> None:
    """Write a note on a run, or on a trial of it; tables and the report show it.

    \b
    sweep note runs/digits "the learning rate was too high"
    sweep note runs/digits 12 "watch this one"
    """
    from sweep.api.steering import verbs

    trial, text = _split(words, "TEXT")
    print_answer(lambda: verbs.note(run, text, trial=trial), as_json=as_json)


def tag(
    run: Steered,
    words: Annotated[
        list[str], typer.Argument(metavar="[TRIAL] TAG", help="A trial by number, else the run; a word.")
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tag a run, or a trial of it. `star` keeps a trial's checkpoints, whatever its rank.

    \b
    sweep tag runs/digits baseline         sweep list --tag baseline finds it
    sweep tag runs/digits 12 star
    sweep tag runs/digits 12 star --remove
    """
    from sweep.api.steering import verbs

    trial, text = _split(words, "TAG")
    print_answer(lambda: verbs.tag(run, text, trial=trial, remove=remove), as_json=as_json)


def _split(words: list[str], what: str) -> tuple[int | None, str]:
    """A trial's number where one is given, and the rest, which is one word to the shell."""
    if len(words) == 1:
        if words[0].isdecimal():
            raise typer.BadParameter(f"{words[0]} is a trial's number: give {what} after it")
        return None, words[0]
    if len(words) == 2 and words[0].isdecimal():
        return int(words[0]), words[1]
    raise typer.BadParameter(f"give {what}, or TRIAL {what}; put quotes around several words")
