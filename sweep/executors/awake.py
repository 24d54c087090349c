"""Holds off this machine's sleep while a process lives: a sleeping node is a lost node.

By `caffeinate` on a Mac: -i holds off the sleep of an idle one, on battery too, -s all sleep on mains power.
By `systemd-inhibit` where that is present. Both end by themselves when the process does, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SYSTEM_PATH = os.pathsep.join(("/usr/bin", "/bin"))
"""Where they lie, whatever the PATH of a Ray that was started over SSH says."""


def command(pid: int) -> list[str] | None:
    """What holds sleep off until the process `pid` ends; None where nothing here does."""
    path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_PATH))
    if caffeinate := shutil.which("caffeinate", path=path):
        return [caffeinate, "-is", "-w", str(pid)]
    inhibit, tail = shutil.which("systemd-inhibit", path=path), shutil.which("tail", path=path)
    if inhibit and tail:
        why = ["--what=sleep:idle", "--who=sweep", "--why=a study runs", "--mode=block"]
        return [inhibit, *why, tail, f"--pid={pid}", "-f", os.devnull]
    return None


def hold_awake() -> subprocess.Popen[bytes] | None:
    """Hold sleep off until this process ends; None where it cannot be: the study runs anyway."""
    found = command(os.getpid())
    with suppress(OSError):
        if found is not None:
            nothing = subprocess.DEVNULL
            return subprocess.Popen(found, stdin=nothing, stdout=nothing, stderr=nothing)
    return None


@contextmanager
def awake() -> Iterator[None]:
    """Hold sleep off while the block runs."""
    holder = hold_awake()
    try:
        yield
    finally:
        if holder is not None:
            holder.terminate()
            holder.wait()
