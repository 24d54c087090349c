"""The verb that serves agents: runs and studies as tools of the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import RunsFolder


def mcp(
    runs: RunsFolder = Path("runs"),
    allow_start: Annotated[
        bool, typer.Option("--allow-start", help="Studies may be started and steered, too.")
    ] = False,
) -> None:
    """Serve tools for agents on stdin and stdout, by the Model Context Protocol; it ends with stdin.

    The tools list runs, read their status, trials and tables, compare them, and check study files.

    \b
    sweep mcp --runs /path/to/runs
    sweep mcp --allow-start
    """
    from sweep.api.agents.server import serve

    with errors_end_the_command(interrupted="stopped"):
        serve(runs, allow_start=allow_start)
