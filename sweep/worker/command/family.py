"""The processes that a program has started, found wherever they went, and what they use together.

A process belongs to it by its session, by a mark in its environment, or by a parent that does. What was seen
to belong is remembered: it may clear its environment and lose its parent.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from contextlib import suppress

import psutil

from sweep.worker.footprint import footprint_bytes

MARK = "SWEEP_PROCESS"
"""The environment variable that tells its processes from all others."""

PEAK_COUNTS_FILES = sys.platform == "darwin"
"""Whether the system's own figure has mapped files in it, which a measured one leaves out."""


class Family:
    """The processes with a mark, and those of the session that `leader` leads; two threads may ask."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._lock = threading.Lock()
        self._foreign = {*psutil.pids(), os.getpid()}
        self._own: dict[int, psutil.Process] = {}
        self._leader: int | None = None
        self._reaped_s = _reaped_s()
        self._cpu_s = 0.0
        self._peak_bytes = 0
        self._is_measured = False

    @classmethod
    def of_mark(cls, mark: str, leader: int) -> Family:
        """What is left of a program that another process started."""
        family = cls(mark)
        family._foreign, family._leader = {os.getpid()}, leader
        return family

    def begin(self, leader: int) -> None:
        """The program's own process, which leads a session."""
        with self._lock:
            self._leader = leader
            self._foreign.discard(leader)
            with suppress(psutil.Error):  # it has ended already
                self._own[leader] = psutil.Process(leader)
                self._peak_bytes = footprint_bytes(leader)  # it may end before it is measured

    def living(self) -> list[int]:
        """Its processes that are not dead yet; a zombie waits for its parent alone."""
        with self._lock:
            self._look()
            return sorted(pid for pid, process in self._own.items() if _lives(process))

    def measure(self) -> int:
        """The bytes that all of them take now; from here on peak and CPU time know of it."""
        total, cpu_s = 0, 0.0
        for pid in self.living():
            with suppress(psutil.Error):
                total += footprint_bytes(pid)
                cpu_s += sum(psutil.Process(pid).cpu_times()[:4])  # its own and its ended children's
        with self._lock:
            self._cpu_s = max(self._cpu_s, cpu_s + _reaped_s() - self._reaped_s)
            self._peak_bytes = max(self._peak_bytes, total)
            self._is_measured = self._is_measured or total > 0
        return total

    @property
    def cpu_s(self) -> float:
        """The CPU time of all of them, as it was last measured; exact once the program has ended."""
        with self._lock:
            return self._cpu_s

    def enter_peak(self, peak_bytes: int) -> None:
        """What the system says that it took at most, once it has ended."""
        with self._lock:
            if not (PEAK_COUNTS_FILES and self._is_measured):
                self._peak_bytes = max(self._peak_bytes, peak_bytes)

    def take_peak_bytes(self) -> int:
        """The most that was seen since the last time."""
        self.measure()
        with self._lock:
            peak, self._peak_bytes = self._peak_bytes, 0
        return peak

    def _look(self) -> None:
        """Take in the processes that are new."""
        there = set(psutil.pids())
        self._own = {pid: process for pid, process in self._own.items() if process.is_running()}
        self._foreign &= there
        for pid in there - self._own.keys():
            if self._is_of_session(pid) or (pid not in self._foreign and self._is_own(pid)):
                with suppress(psutil.Error):
                    self._own[pid] = psutil.Process(pid)  # which knows when it began: numbers come again
                self._foreign.discard(pid)

    def _is_of_session(self, pid: int) -> bool:
        with suppress(OSError):
            return os.getsid(pid) == self._leader
        return False

    def _is_own(self, pid: int) -> bool:
        """By its mark or its parent; another user's cannot be looked at, nor be its."""
        try:
            process = psutil.Process(pid)
            if process.ppid() in self._own or process.environ().get(MARK) == self._mark:
                return True
        except psutil.ZombieProcess:
            return False
        except (psutil.Error, OSError):
            return False
        self._foreign.add(pid)
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _reaped_s() -> float:
    """The CPU time of this process's ended children, and of those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
