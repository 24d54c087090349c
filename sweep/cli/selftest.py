"""The verb that checks this project's claims on this machine."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer


def selftest(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer trials and rounds: under 90 s on two cores.")
    ] = False,
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="The folder for selftest.json and selftest.html.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """Check what this project claims on this machine: keys, lanes, resuming, memory, a real study, Ctrl-C.

    Prints a table and writes two files to attach to a report; they hold no names of hosts, users or folders.
    Exit code 1 if a check is red.

    \b
    sweep selftest
    sweep selftest --quick --into results
    """
    # A process of its own: it trains with MLX, which this one never loads.
    flags = ["--quick"] * quick + ["--json"] * as_json
    command = [sys.executable, "-m", "selftest", *flags, "--into", str(into)]
    with subprocess.Popen(command) as process:
        code = None
        while code is None:
            with suppress(KeyboardInterrupt):  # it has got the signal, too, and says what it ends with
                code = process.wait()
    raise typer.Exit(code)
