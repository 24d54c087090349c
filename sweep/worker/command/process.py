"""A process with all that it starts: signalled together, measured together, gone together.

It leads a session of its own. What leaves that session is found by a mark in its environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sweep.worker.footprint import footprint_bytes

MARK = "SWEEP_PROCESS"
"""The environment variable that tells its processes from all others."""

LOOK_EVERY_S = 0.01
KILLED_WITHIN_S = 5.0
"""What SIGKILL has not ended by then hangs in the kernel."""


class Process:
    """A running program. Raises OSError where it cannot be started."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._mark = environment[MARK]
        self._before = frozenset(psutil.pids())
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

    def exit_code(self) -> int | None:
        """The code of the program itself, below 0 for a signal; None while it runs."""
        return self.popen.poll()

    def wait(self, timeout_s: float) -> None:
        """Return once the program has ended, or after so long."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout_s)

    def memory_bytes(self) -> int:
        """What all its processes take now."""
        total = 0
        for pid in self._session():
            with suppress(psutil.Error):
                total += footprint_bytes(pid)
        return total

    def end(self, grace_s: float, meanwhile: Callable[[], None]) -> bool:
        """End all its processes: SIGTERM, and SIGKILL after a grace; whether that was needed.

        `meanwhile` is called again and again: what reads its output, so that none waits to be read.
        """
        if self._is_gone():
            return False
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        while not self._is_gone() and time.monotonic() < deadline:
            meanwhile()
            time.sleep(LOOK_EVERY_S)
        if self._is_gone():
            return False
        deadline = time.monotonic() + KILLED_WITHIN_S
        while not self._is_gone() and time.monotonic() < deadline:
            self._signal(signal.SIGKILL)
            time.sleep(LOOK_EVERY_S)
        return True

    def _is_gone(self) -> bool:
        return self.exit_code() is not None and not self._living()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
            os.killpg(self.pid, number)
        for pid in self._living():
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self.pid:
                    os.kill(pid, number)

    def _living(self) -> list[int]:
        """Its processes that are not dead yet; a zombie waits for its parent alone."""
        found = []
        for pid in {*self._session(), *self._marked()}:
            with suppress(psutil.Error):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    found.append(pid)
        return found

    def _session(self) -> list[int]:
        """The processes of its session, the program's own first as long as it is there."""
        found = []
        for pid in psutil.pids():
            with suppress(OSError):
                if os.getsid(pid) == self.pid:
                    found.append(pid)
        return found

    def _marked(self) -> list[int]:
        """Processes begun since that carry its mark; another user's cannot be looked at, nor be its."""
        found = []
        for pid in psutil.pids():
            if pid in self._before or pid == os.getpid():
                continue
            with suppress(psutil.Error, OSError):
                if psutil.Process(pid).environ().get(MARK) == self._mark:
                    found.append(pid)
        return found
