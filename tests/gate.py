"""A gate in a study's way: what trains waits at it while a test acts on the study.

No outcome hangs then on how quick the machine is. A test shuts the gate, starts the study, waits until
processes are held, acts on them, and opens the gate. A study's task calls `wait` before each report.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tests.processes import living

FILE = "gate.json"
HELD_S = 200.0
"""A gate that was forgotten fails what is held after this: less than a test waits for a study."""


class Gate:
    """The test's side of the gate in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shut = 0

    def shut(self, *, after: int) -> None:
        """From now on each process that trains makes so many reports more, and is held before the next."""
        self._shut += 1
        _write(self._folder, {"shut": self._shut, "after": after})

    def open(self) -> None:
        (self._folder / FILE).unlink(missing_ok=True)

    def held(self) -> list[int]:
        """The living processes that are held, each with a trial that is not over."""
        return living(int(mark.suffix[1:]) for mark in self._folder.glob("held.*"))


_passed: dict[Path, tuple[int, int]] = {}
"""Of each folder's gate: which time it was shut, and how often this process has come through since."""


def wait(folder: Path) -> None:
    """Come through the gate in the study's folder, or be held there; raises once it was forgotten."""
    if "sweep.worker.worker" not in sys.modules:
        return  # the task is described, not trained
    mark = folder / f"held.{os.getpid()}"
    deadline = time.monotonic() + HELD_S
    try:
        while not _is_open(folder):
            mark.touch()
            if time.monotonic() > deadline:
                _write(folder, {"forgotten": True})
            time.sleep(0.01)
    finally:
        mark.unlink(missing_ok=True)


def _is_open(folder: Path) -> bool:
    """Whether this process may come through now, which counts."""
    try:
        gate = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return True
    if "forgotten" in gate:
        raise RuntimeError(f"{folder / FILE}: the gate was shut for {HELD_S:.0f} s. Have the test open it")
    shut, count = _passed.get(folder, (0, 0))
    if shut != gate["shut"]:
        count = 0
    if count >= gate["after"]:
        return False
    _passed[folder] = gate["shut"], count + 1
    return True


def _write(folder: Path, gate: dict[str, object]) -> None:
    fresh = folder / f"{FILE}.{os.getpid()}"
    fresh.write_text(json.dumps(gate))
    fresh.replace(folder / FILE)
