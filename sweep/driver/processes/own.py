"""How a module of this project runs as a process of its own."""

from __future__ import annotations

import os
import sys

from sweep.vocabulary.own_packages import ROOT


def command(module: str, *arguments: str) -> list[str]:
    """What to run; with a user's sweep.py in the folder of the command, -m alone would import that."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's own, with the project's packages on Python's path."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}
