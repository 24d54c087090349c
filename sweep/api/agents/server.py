"""The tools, served on standard input and output with the official SDK of the Model Context Protocol."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sweep.api.agents.tools import Reading, Starting
from sweep.errors import SweepError

INSTRUCTIONS = (
    "Hyperparameter studies. Run `check` on a study file before `start`; `status` says how a run stands. "
    "A run is named by its folder's name. Never edit files of a run directory."
)


STARTING = ("start", "stop", "pause", "resume", "set", "enqueue", "prune", "finish", "note", "tag")
"""The tools that change something."""


def serve(runs: Path, *, allow_start: bool) -> None:
    """Serve until standard input ends; standard output is the protocol's alone.

    Raises SweepError where the SDK is not installed.
    """
    server(runs, allow_start=allow_start).run("stdio")


def server(runs: Path, *, allow_start: bool) -> Any:
    """A server of the SDK, with the tools that are allowed. Raises SweepError where there is no SDK."""
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise SweepError("mcp needs the package mcp: pip install 'sweep-mlx[mcp]'") from error
    made = MCPServer("sweep", instructions=INSTRUCTIONS, version=version("sweep-mlx"), log_level="WARNING")

    def add(name: str, tool: Callable[..., Any], *, reads_only: bool) -> None:
        @functools.wraps(tool)
        def called(*arguments: Any, **named: Any) -> Any:
            try:
                return json.loads(json.dumps(tool(*arguments, **named)))
            except SweepError as error:
                raise ToolError(str(error)) from error

        made.add_tool(called, name, annotations=ToolAnnotations(read_only_hint=reads_only))

    reading = Reading(runs)
    tools: dict[str, Callable[..., Any]] = {
        "list": reading.listed,
        "status": reading.status,
        "best": reading.best,
        "show": reading.show,
        "compare": reading.compare,
        "tables": reading.tables,
        "check": reading.check,
    }
    for name, tool in tools.items():
        add(name, tool, reads_only=True)
    if allow_start:
        starting = Starting(runs, reading)
        for name in STARTING:
            add(name, getattr(starting, name), reads_only=False)
    return made
