"""Tasks of two files that sleep at each report, so that few cores are many machines, or wait for a test."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
from line import Line  # type: ignore[import-not-found]

from tests import gate
from train_core import Mean

MEET_S = 200.0
"""Machines that have not come by then do not come."""


class Pausing(Line):  # type: ignore[misc]
    """Fits the same line to the same values, half a second a report where no `PAUSE_S` says otherwise."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        time.sleep(float(os.environ.get("PAUSE_S", "0.5")))
        found: dict[str, Mean] = super().evaluate(model, batch, hp)
        return found


class Meeting(Pausing):
    """Reports nothing before every machine has a worker: one that comes late finds trials left.

    The folder `MEET` has a file `wanted`, how many machines there are, and gets one named after each.
    """

    met = False

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        if not self.met and "sweep.worker.worker" in sys.modules:  # not where the task is described
            folder, deadline = Path(os.environ["MEET"]), time.monotonic() + MEET_S
            (folder / platform.node()).touch()
            while len(list(folder.iterdir())) <= int((folder / "wanted").read_text()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not all machines have come: {sorted(os.listdir(folder))}")
                time.sleep(0.05)
            self.met = True
        return super().evaluate(model, batch, hp)


class Gated(Meeting):
    """Meets, and comes through the gate of its machine before each report; they lie in the folder `GATES`."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        gate.wait(Path(os.environ["GATES"]) / platform.node())
        return super().evaluate(model, batch, hp)


class Counting(Gated):
    """Leaves a line in the machine's home for every evaluation: the process and the trial's learning rate."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        found = super().evaluate(model, batch, hp)
        with Path.home().joinpath("evaluated").open("a") as file:
            file.write(f"{os.getpid()} {hp.learning_rate.item():.6g}\n")
        return found
