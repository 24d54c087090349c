"""A shell that ends a worker's program, with all that it started, once the worker is gone, however it went.

It waits for lines on its standard input, which ends with the worker: each is the process group that runs now
and its mark, empty for none. No system lets a process of the user's be ended with another one on both Linux
and macOS. It is no child of the worker's: Ray kills the children of a worker that it ends, but not what they
started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from sweep.vocabulary.own_packages import ROOT
from sweep.worker.command.process import Process

_SCRIPT = (
    "exec 3<&0; { group=; mark=; while read -r a b <&3; do group=$a; mark=$b; done; "
    'if [ -n "$group" ]; then '
    'kill -s TERM -- "-$group"; '
    '"$2" -P -m sweep.worker.command.ending "$group" "$mark" "$1" '
    '|| { sleep "$1"; kill -s KILL -- "-$group"; }; fi; } &'
)
"""SIGTERM comes first: Python takes a moment to start, and the worker's own packages may be gone with it."""


class Watchdog:
    """Started with the first process that it is told of."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, process: Process | None) -> None:
        """End this process's from now on, and no other's; None: none's."""
        if self._shell is None:
            if process is None:
                return
            self._shell = self._started()
        assert self._shell.stdin is not None
        line = f"{process.pid} {process.mark}" if process is not None else ""
        with suppress(BrokenPipeError):  # it was ended: then there is none
            self._shell.stdin.write(f"{line}\n".encode())

    def close(self) -> None:
        """Let it go: nothing is left to end."""
        if self._shell is None:
            return
        self.watch(None)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell = None

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "sweep-watchdog", f"{self._grace_s:g}", sys.executable],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        shell.wait()  # the part that waits runs on behind it
        return shell
