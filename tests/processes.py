"""Processes below a driver, and waiting for what they do."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any

import psutil

LONG_S = 300.0
"""A wait that ends a broken test, however busy the machine is; a sound test never comes near it."""


def wait_until(condition: Callable[[], object], *, what: str = "", timeout_s: float = LONG_S) -> None:
    """Look again and again until something holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited for {timeout_s:.0f} s: {what}"
        time.sleep(0.02)


def wait_for(condition: Callable[[], object], process: subprocess.Popen[Any]) -> None:
    """The same, while a process runs whose end would make waiting pointless."""

    def holds() -> bool:
        if condition():
            return True
        assert process.poll() is None, process.communicate()
        return False

    wait_until(holds)


def read_until(process: subprocess.Popen[Any], text: str) -> str:
    """What a process prints up to a text; `communicate` gives the rest."""
    assert process.stdout is not None
    pipe, said = process.stdout.fileno(), ""
    while text not in said:
        assert select.select([pipe], [], [], LONG_S)[0], f"waited for {LONG_S:.0f} s for {text!r}: {said}"
        more = os.read(pipe, 1 << 16)
        assert more, f"it ended without {text!r}: {said}"
        said += more.decode(errors="replace")
    return said


def children(pid: int) -> list[int]:
    """Direct and indirect children of a process."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def actors(pid: int) -> list[int]:
    """The processes of a driver's workers that hold a task."""
    titles = {process: title(process) for process in children(pid)}
    return [
        process
        for process, name in titles.items()
        if name.startswith("ray::") and ("Actor" in name or "/slot-" in name)
    ]


def title(pid: int) -> str:
    """A process's command line; empty once it is gone."""
    try:
        return "\0".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def living(pids: Iterable[int]) -> list[int]:
    """Those that are still there; a zombie waits for its parent alone."""

    def lives(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return list(filter(lives, pids))


def wait_until_gone(processes: Iterable[int]) -> None:
    """Until a killed driver's Ray has ended by itself; two agents of its take a minute more."""
    left = [pid for pid in processes if "Agent" not in title(pid)]
    wait_until(lambda: not any(map(psutil.pid_exists, left)), what=f"{left} to end")
