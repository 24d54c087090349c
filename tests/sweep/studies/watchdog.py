"""The gated line task on a Mac whose GPU watchdog strikes once, in a process that has evaluated CALLS times.

From then on all that this process submits is refused. A file beside this one marks that it has struck.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlx.core as mx

sys.path.insert(0, str(Path(__file__).parent))
from gated import Line as Line  # type: ignore[import-not-found]

CALLS = 15
MARK = Path(__file__).with_name("struck")
HEAD = "[METAL] Command buffer execution failed: "
STRIKE = HEAD + "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)."
REFUSED = (
    HEAD + "Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)."
)


class Watchdog:
    """Stands in the place of `mx.eval`."""

    def __init__(self) -> None:
        self.evaluate = mx.eval
        self.calls = 0
        self.dead = False

    def __call__(self, *arrays: Any) -> None:
        self.calls += 1
        if self.dead:
            raise RuntimeError(REFUSED)
        if self.trains and self.calls > CALLS and not MARK.exists():
            MARK.touch()
            self.dead = True
            raise RuntimeError(STRIKE)
        self.evaluate(*arrays)

    @property
    def trains(self) -> bool:
        """The process that describes the task is left alone."""
        return "sweep.worker.worker" in sys.modules


mx.eval = Watchdog()
