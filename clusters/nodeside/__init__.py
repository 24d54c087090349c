"""Programs that run on the nodes: sent as text, with the parts of this package that they import put in.

Nodes run them under any Python of their own, so they import nothing but that Python, Ray and MLX.

doctor/      for `doctor`: peer, pinned, burn
lifecycle/   for `up`, `down`, `status`: agent, stop, meet, settle, daemon, outcome, node_status, ray_status,
             reserve
remote_job   a study's command on the head, and what is asked of it from elsewhere
parts/       what several programs have in common; never sent alone
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from importlib import resources

_PACKAGE = "clusters.nodeside."

# The program comes first on stdin, so that `ps` shows a name and not the whole text.
_FROM_STDIN = (
    "import os,sys;n=int(sys.argv[2]);b=b''\n"
    "while len(b)<n:b+=os.read(0,n-len(b)) or sys.exit(1)\n"
    "exec(compile(b,sys.argv[1],'exec'))"
)


def program(name: str) -> str:
    """The source of a program, such as `doctor.peer`, with each part that it needs put in once."""
    return "".join(_lines(name, set()))


def command(python: str, name: str, argument: str) -> str:
    """Shell text that runs a program under `python`, itself as the shell reads it, with one argument."""
    return f"exec {python} -c {shlex.quote(program(name))} {shlex.quote(argument)}"


def held(python: str, name: str, label: str) -> tuple[str, bytes]:
    """Shell text that runs a program which stays, and the program itself, which its stdin begins with."""
    source = program(name).encode()
    return f"exec {python} -c {shlex.quote(_FROM_STDIN)} {shlex.quote(label)} {len(source)}", source


def _lines(name: str, included: set[str]) -> Iterator[str]:
    """A module's lines, an import of ours replaced by the lines of what it imports from."""
    *folders, module = name.split(".")
    source = resources.files("clusters.nodeside").joinpath(*folders, f"{module}.py").read_text()
    imports = {
        node.lineno: node
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE)
    }
    replaced = {
        line for start, node in imports.items() for line in range(start, (node.end_lineno or start) + 1)
    }
    for number, line in enumerate(source.splitlines(keepends=True), 1):
        if number in imports:
            part = (imports[number].module or "").removeprefix(_PACKAGE)
            if part not in included:
                included.add(part)
                yield from _lines(part, included)
        if number not in replaced:
            yield line
