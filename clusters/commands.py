"""The verbs of `python -m sweep cluster`; the only module here that prints.

Exit codes: 0 fine, 1 something is red, 2 something to mend is said on stderr, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="A few Macs as one machine.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]


@app.callback()
def cluster() -> None:
    """A few Macs as one machine."""


@app.command()
def doctor(
    inventory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[LAB]", help="An inventory or an mlx.launch host file; without, this machine."
        ),
    ] = None,
    burn: Annotated[bool, typer.Option("--burn", help="Multiply matrices for ten seconds, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong on each node, and what to type; exit code 1 where something is red."""
    import json

    from clusters.addresses import with_addresses
    from clusters.doctor import examine, is_red, this_machine
    from clusters.inventory import load

    with _errors_end_the_command():
        if inventory is None:
            findings = examine(this_machine(), alone=True, burn=burn)
        else:
            findings = examine(with_addresses(load(inventory)), burn=burn)
    if as_json:
        red = is_red(findings)
        print(json.dumps({"red": red, "findings": [found.as_json() for found in findings]}))
    else:
        from rich.console import Console

        from clusters.report import show

        show(findings, Console())
    if is_red(findings):
        raise typer.Exit(1)


@contextmanager
def _errors_end_the_command() -> Iterator[None]:
    from clusters.errors import ClusterError

    try:
        yield
    except ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
