"""A shell that ends a worker's process group once the worker itself is gone, however it went.

It waits for lines on its standard input, which ends with the worker: each is the group that runs now, empty
for none. No system lets a process of the user's be ended with another one on both Linux and macOS. It is no
child of the worker's: Ray kills the children of a worker that it ends, but not what they started.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress

_SCRIPT = (
    "exec 3<&0; { group=; while read -r line <&3; do group=$line; done; "
    'if [ -n "$group" ]; then '
    'kill -s TERM -- "-$group" && { sleep "$1"; kill -s KILL -- "-$group"; }; fi; } &'
)


class Watchdog:
    """Started with the first group that it is told of."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, group: int | None) -> None:
        """End this group from now on, and no other; None: none."""
        if self._shell is None:
            if group is None:
                return
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "sweep-watchdog", f"{self._grace_s:g}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                start_new_session=True,
            )
            self._shell.wait()  # the part that waits runs on behind it
        assert self._shell.stdin is not None
        with suppress(BrokenPipeError):  # it was ended: then there is none
            self._shell.stdin.write(f"{group or ''}\n".encode())

    def close(self) -> None:
        """Let it go: nothing is left to end."""
        if self._shell is None:
            return
        self.watch(None)
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell = None
