"""A process with all that it starts: signalled together, gone together. It leads a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sweep.worker.command.family import MARK, Family
from sweep.worker.footprint import own_peak_bytes, peak_bytes_of

LOOK_EVERY_S = 0.01
KILLED_WITHIN_S = 5.0
"""What SIGKILL has not ended by then hangs in the kernel."""


class Process:
    """A running program. Raises OSError where it cannot be started."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self.mark = environment[MARK]
        self.family = Family(self.mark)
        self.popen = subprocess.Popen(
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.pid = self.popen.pid
        self._lock = threading.Lock()
        self._inherited_bytes = own_peak_bytes()
        self.family.begin(self.pid)

    def exit_code(self) -> int | None:
        """The code of the program itself, below 0 for a signal; None while it runs."""
        with self._lock:
            if self.popen.returncode is None:
                self._reap()
            return self.popen.returncode

    def wait(self, timeout_s: float) -> None:
        """Return once the program has ended, or after so long."""
        deadline = time.monotonic() + timeout_s
        while self.exit_code() is None and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(LOOK_EVERY_S, left_s))

    def _reap(self) -> None:
        """As Popen does it, but with what the system says of its memory."""
        try:
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:  # something else in this process has waited for it
            self.popen.poll()
            return
        if pid == 0:
            return
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        peak_bytes = peak_bytes_of(used)
        if peak_bytes > self._inherited_bytes:  # Linux counts what this process took when it began it
            self.family.enter_peak(peak_bytes)

    def end(self, grace_s: float, meanwhile: Callable[[], None]) -> bool:
        """End all its processes: SIGTERM, and SIGKILL after a grace; whether that was needed.

        `meanwhile` is called again and again: what reads its output, so that none waits to be read.
        """
        return end(self.family, self.pid, grace_s, meanwhile, has_ended=lambda: self.exit_code() is not None)


def end(
    family: Family,
    group: int,
    grace_s: float,
    meanwhile: Callable[[], None],
    *,
    has_ended: Callable[[], bool] = lambda: True,
) -> bool:
    """End all processes of a family; whether SIGKILL was needed. `has_ended`: whether its first one has."""

    def is_gone() -> bool:
        return has_ended() and not family.living()

    if is_gone():
        return False
    _signal(family, group, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while not is_gone() and time.monotonic() < deadline:
        meanwhile()
        time.sleep(LOOK_EVERY_S)
    if is_gone():
        return False
    deadline = time.monotonic() + KILLED_WITHIN_S
    while not is_gone() and time.monotonic() < deadline:
        _signal(family, group, signal.SIGKILL)
        time.sleep(LOOK_EVERY_S)
    return True


def _signal(family: Family, group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
        os.killpg(group, number)
    for pid in family.living():
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) != group:
                os.kill(pid, number)
