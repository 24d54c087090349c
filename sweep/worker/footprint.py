"""How much memory a process takes, as its system counts it."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Any

import psutil

RUSAGE_INFO_V0 = 0
"""The flavour of `proc_pid_rusage` that fills a `_RusageInfo`."""


class _RusageInfo(ctypes.Structure):
    """`struct rusage_info_v0` of macOS's <sys/resource.h>."""

    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        ("user_time", ctypes.c_uint64),
        ("system_time", ctypes.c_uint64),
        ("pkg_idle_wkups", ctypes.c_uint64),
        ("interrupt_wkups", ctypes.c_uint64),
        ("pageins", ctypes.c_uint64),
        ("wired_size", ctypes.c_uint64),
        ("resident_size", ctypes.c_uint64),
        ("phys_footprint", ctypes.c_uint64),
        ("proc_start_abstime", ctypes.c_uint64),
        ("proc_exit_abstime", ctypes.c_uint64),
    )


def footprint_bytes(pid: int | None = None) -> int:
    """Bytes in use now, never the highest ever; on a Mac with what Metal's buffers take, cached ones too.

    Of this process, or of another one of the same user. Raises psutil.Error where that has ended.
    """
    if sys.platform == "darwin":
        found = _physical_footprint(ctypes.CDLL(None), pid or os.getpid())
        if found is not None:
            return found
    return int(psutil.Process(pid).memory_info().rss)


def peak_bytes_of(used: resource.struct_rusage) -> int:
    """The most that a process took, as its system counts: in bytes on a Mac, elsewhere in kilobytes."""
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def own_peak_bytes() -> int:
    """The most that this process has taken."""
    return peak_bytes_of(resource.getrusage(resource.RUSAGE_SELF))


def _physical_footprint(system: Any, pid: int) -> int | None:
    """What Activity Monitor shows as a process's memory; None where the system does not say."""
    info = _RusageInfo()
    if system.proc_pid_rusage(pid, RUSAGE_INFO_V0, ctypes.byref(info)) != 0:
        return None
    return int(info.phys_footprint)
