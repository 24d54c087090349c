"""Why Ray did not start on this machine, and what to do: from what it raised to a sentence."""

from __future__ import annotations

import os
from pathlib import Path

from sweep.executors.ray.nodes import first_line

TOKEN_FOLDER = ".ray"
"""Where Ray keeps its token, below the user's home."""


def why_not_started(error: BaseException) -> str:
    """The cause and one thing to do."""
    said = first_line(error)
    if "AF_UNIX path length" in said:
        folder = said.rpartition(": ")[2].partition("/session_")[0]
        return f"its folder {folder} is too long a path for sockets. Set RAY_TMPDIR to a short one: /tmp"
    if isinstance(error, OSError) and error.filename is not None:
        return _about_file(Path(os.fsdecode(error.filename)), error.strerror or said)
    if "timed out" in said:
        return f"{said}. Where the machine is very busy, wait and run the same command again"
    return f"{said}. `executor: inline` needs no Ray"


def _about_file(path: Path, reason: str) -> str:
    if TOKEN_FOLDER in path.parts:
        return (
            f"it cannot write its token to {path}: {reason}. Set HOME to a folder that you can write to, or "
            "RAY_AUTH_TOKEN_PATH to a file that holds a token"
        )
    folder = next((each for each in (path, *path.parents) if each.exists()), path)
    return (
        f"it cannot write {path}: {reason}; {folder} belongs to {_owner(folder)}. Set RAY_TMPDIR to a folder "
        "of your own"
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, OSError):  # an id without a name
        return "another user"
