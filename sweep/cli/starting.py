"""Verbs before a study: write one to start from, print what editors check it by."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, print_json


class Template(StrEnum):
    """What `init` can write."""

    digits = "digits"
    module = "module"
    lm = "lm"
    lora = "lora"
    function = "function"
    script = "script"


def init(
    template: Annotated[
        Template,
        typer.Argument(
            help="digits: handwritten digits. module: a model of your own. lm: a language model. "
            "lora: one that is fine-tuned. function: any function. script: any program."
        ),
    ] = Template.digits,
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write into.")] = Path("."),
    as_json: AsJson = False,
) -> None:
    """Write a commented study and task to start from.

    \b
    sweep init                      the digits study, here
    sweep init lm --into my-lm      a small language model, in a folder of its own
    sweep init lora                 fine-tune a language model with mlx-lm's configuration
    """
    from sweep.api.init import set_up, write_template

    with errors_end_the_command():
        written = write_template(template.value, into)
        for path in () if as_json else written:
            print(f"wrote {path}")
        said = set_up(template.value, into)
    study = written[0]
    if as_json:
        print_json({"study": study, "written": written})
        return
    if said:
        print(said)
    print(f"next: python -m sweep check {study}")
    print(f"then: python -m sweep run {study}")


def schema(
    as_json: Annotated[bool, typer.Option("--json", help="It is JSON without this, too.")] = False,
) -> None:
    """Print the JSON Schema of the study file, for editors.

    \b
    sweep schema > study.schema.json
    Then let the study file begin with:
    # yaml-language-server: $schema=study.schema.json
    """
    from sweep.spec.json_schema import study_schema_text

    print(study_schema_text(), end="")
