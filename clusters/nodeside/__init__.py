"""Programs that run on the nodes: sent as text, and what they import of ours is put in as text, too.

peer        what the environment is like, which ports are free, whom this node reaches
see         who holds the node, and how warm it is
look        on the head: what Ray knows of its nodes
pinned      on the head: what a task that is pinned to each node says from there
burn        ten seconds of products: slow or throttled
agent       holds Ray on a node as long as it is held itself
meet        what is there before a daemon is given an order
settle      puts a daemon's files and its service there, and gives it an order
daemon      holds Ray on a node as a service of its system, as its order says
outcome     what an order has come to
stop        ends what an agent or a daemon holds, and removes a daemon's service
errand      a command on the head that outlives who asked for it

listening, versions, holding, starting, meeting, service are parts of those.
"""

from __future__ import annotations

import re
import shlex
from importlib import resources

_PART = re.compile(r"^from clusters\.nodeside\.(\w+) import .*$", re.MULTILINE)

# The program comes first on stdin, so that `ps` shows a name and not the whole text.
_FROM_STDIN = (
    "import os,sys;n=int(sys.argv[2]);b=b''\n"
    "while len(b)<n:b+=os.read(0,n-len(b)) or sys.exit(1)\n"
    "exec(compile(b,sys.argv[1],'exec'))"
)


def program(name: str) -> str:
    """The source of a program that runs on nodes."""
    source = resources.files("clusters.nodeside").joinpath(f"{name}.py").read_text()
    return _PART.sub(lambda part: program(part[1]), source)


def command(python: str, name: str, argument: str) -> str:
    """Shell text that runs a program under `python`, itself as the shell reads it, with one argument."""
    return f"exec {python} -c {shlex.quote(program(name))} {shlex.quote(argument)}"


def held(python: str, name: str, label: str) -> tuple[str, bytes]:
    """Shell text that runs a program which stays, and the program itself, which its stdin begins with."""
    source = program(name).encode()
    return f"exec {python} -c {shlex.quote(_FROM_STDIN)} {shlex.quote(label)} {len(source)}", source
