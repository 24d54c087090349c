"""Fits a line: the smallest task there is, for tests of everything around training."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from train_core import Dataset, Mean, Task
from train_core.reads import Read


class Line(Task):
    """y = 2 x + 1 under noise; `slow` seconds of sleep a trial stand for a large model."""

    static = ("slow",)

    def data(self) -> Dataset:
        x = np.random.default_rng(0).normal(size=(96, 1)).astype(np.float32)
        rows = {"x": x, "y": 2 * x + 1}
        return Dataset(
            train={k: v[:64] for k, v in rows.items()}, validation={k: v[64:] for k, v in rows.items()}
        )

    def model(self, slow: float) -> nn.Module:
        time.sleep(slow)
        return nn.Linear(1, 1)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(((model(batch["x"]) - batch["y"]) ** 2).reshape(-1))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


class Raising(Line):
    """Fails in training for large learning rates only."""

    def model(self, slow: float) -> nn.Module:
        raise RuntimeError("the model cannot be built")


class Reading(Line):
    """Reads a file `config.txt` beside the study; `seen.txt` there says what workers read."""

    def reads(self, given: Mapping[str, Any]) -> dict[str, Read]:
        return {"config.txt": Read(self.folder / "config.txt", kept=True)}

    def model(self, slow: float) -> nn.Module:
        if self.recorded:
            with (self.folder / "seen.txt").open("a", encoding="utf-8") as file:
                file.write(self.recorded["config.txt"] + "\n")
        return super().model(slow)


class Away(Line):
    """Raises in the process, and as often, as a file `away` beside this one says."""

    def model(self, slow: float) -> nn.Module:
        marker = os.path.join(os.path.dirname(__file__), "away")
        with open(marker, encoding="utf-8") as file:
            process, left = map(int, file.read().split())
        if left and process == os.getpid():
            with open(marker, "w", encoding="utf-8") as file:
                file.write(f"{process} {left - 1}")
            raise OSError("the volume is away")
        return super().model(slow)


class Dying(Line):
    """Takes its process with it, once for each file `die` beside this one."""

    def model(self, slow: float) -> nn.Module:
        marker = os.path.join(os.path.dirname(__file__), "die")
        if os.path.exists(marker):
            os.remove(marker)
            os._exit(1)
        return super().model(slow)


class Faulty(Line):
    """What `fault` says goes wrong: nothing, an error, one at a report, a hang, memory without end."""

    static = ("slow", "fault")  # type: ignore[assignment]

    def model(self, slow: float, fault: str) -> nn.Module:  # type: ignore[override]
        match fault:
            case "raise":
                raise RuntimeError("this model cannot be built")
            case "hang":
                time.sleep(10_000)
            case "eat":
                eaten = []
                while True:
                    eaten.append(np.ones(4_000_000))
                    time.sleep(0.01)
        return super().model(slow)

    def measure(self, model: Any, hp: Any, part: str, most: int | None) -> dict[str, float]:
        if hp.fault == "measure" and most is None:  # None is asked for in training alone
            raise RuntimeError("this model cannot be measured")
        return {}


class Tested(Line):
    """Has a part that no trial sees, and shows what its model makes of a number."""

    def data(self) -> Dataset:
        found = super().data()
        x = np.linspace(5, 6, 8, dtype=np.float32).reshape(8, 1)
        return Dataset(found.train, found.validation, test={"x": x, "y": 2 * x + 1})

    def samples(self, model: Any, hp: Any, most: int | None) -> list[tuple[str, str]]:
        return [("2 * 1 + 1", f"{model(mx.ones((1, 1))).item():.6f}")]
