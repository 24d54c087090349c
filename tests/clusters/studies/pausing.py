"""A task of two files, which sleeps at each report so that a few cores are many machines."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
from line import Line  # type: ignore[import-not-found]

from train_core import Mean


class Pausing(Line):  # type: ignore[misc]
    """Fits the same line to the same values, half a second a report where no `PAUSE_S` says otherwise."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        time.sleep(float(os.environ.get("PAUSE_S", "0.5")))
        found: dict[str, Mean] = super().evaluate(model, batch, hp)
        return found


class Counting(Pausing):
    """Leaves a line in the machine's home for every evaluation: the process and the trial's learning rate."""

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        with Path.home().joinpath("evaluated").open("a") as file:
            file.write(f"{os.getpid()} {hp.learning_rate.item():.6g}\n")
        return super().evaluate(model, batch, hp)


class Meeting(Pausing):
    """Reports nothing before every machine has a worker: one that comes late finds trials left.

    The folder `MEET` has a file `wanted`, how many machines there are, and gets one named after each.
    """

    met = False

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        if not self.met and "sweep.worker.worker" in sys.modules:  # not where the task is described
            folder = Path(os.environ["MEET"])
            (folder / platform.node()).touch()
            while len(list(folder.iterdir())) <= int((folder / "wanted").read_text()):
                time.sleep(0.05)
            self.met = True
        return super().evaluate(model, batch, hp)
