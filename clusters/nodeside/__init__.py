"""Programs that run on the nodes: sent as text, so they import nothing of ours, and only what a task needs.

peer     what the environment is like, which ports are free, whom this node reaches
burn     ten seconds of products: slow or throttled
"""

from __future__ import annotations

import shlex
from importlib import resources


def program(name: str) -> str:
    """The source of a program that runs on nodes."""
    return resources.files("clusters.nodeside").joinpath(f"{name}.py").read_text()


def command(python: str, name: str, argument: str) -> str:
    """Shell text that runs a program under `python`, itself as the shell reads it, with one argument."""
    return f"exec {python} -c {shlex.quote(program(name))} {shlex.quote(argument)}"
