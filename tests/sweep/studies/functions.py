"""Functions as trials, for tests: what they do wrong hangs on their hyperparameters."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np


def train(trial: Any) -> Iterator[dict[str, Any]]:
    """A quadratic that saves each step: where it resumes it continues."""
    x, step = 2.0, 0
    if trial.checkpoint is not None:
        x, step = trial.checkpoint["x"], trial.checkpoint["step"]
    while step < 5:
        step += 1
        x -= trial.params["learning_rate"] * 2 * x
        trial.save(x=x, step=step)
        if "slow" in trial.params:
            time.sleep(trial.params["slow"])
        yield {"examples": 100 * step, "loss": x * x}


def value(trial: Any) -> float:
    return float(trial.params["learning_rate"] ** 2)


def random(trial: Any) -> dict[str, float]:
    drawn = np.random.default_rng(trial.seed).random() + mx.random.uniform(key=trial.key).item()
    return {"loss": float(np.real(drawn)), "examples": 10}


def faulty(trial: Any) -> Iterator[Any]:
    """Right but for trial 0; `fault` says how that one is wrong."""
    try:
        for step in range(1, 4):
            loss: Any = trial.params["learning_rate"]
            if trial.number == 0:
                match trial.params["fault"]:
                    case "no examples":
                        yield {"loss": loss}
                    case "goes back":
                        yield {"examples": 10 - step, "loss": loss}
                    case "no metric":
                        yield {"examples": step, "other": loss}
                    case "no report":
                        return
                    case "no number":
                        yield {"examples": step, "loss": "low"}
                    case "no dict":
                        yield loss
                    case "raises":
                        raise RuntimeError("in the middle")
                    case "exits":
                        raise SystemExit(3)
                    case "column":
                        yield {"examples": step, "loss": loss, "lane": 1}
                    case "zero":
                        yield {"examples": 0, "loss": loss}
            else:
                yield {"examples": step, "loss": loss}
    except GeneratorExit:
        while trial.params["fault"] == "ignores closing":
            with contextlib.suppress(GeneratorExit):
                yield {"examples": 100, "loss": 0.0}
        raise


def nothing(trial: Any) -> None:
    trial.params["learning_rate"]


def apart(trial: Any) -> Iterator[dict[str, float]]:
    """Replicates that report and end at places of their own."""
    for step in range(1, 3 + trial.replicate):
        yield {"examples": step * (10 + trial.replicate), "loss": float(trial.replicate)}


def files(trial: Any) -> Iterator[dict[str, float]]:
    """Keeps a file and something in its folder; what is there again is reported."""
    notes: Path = trial.folder / "notes.txt"
    seen = len(notes.read_text().split()) if notes.exists() else 0
    with notes.open("a") as file:
        print(os.getpid(), file=file)
    for step in range(1, 4):
        (trial.folder / "model.bin").write_bytes(bytes([step]))
        trial.save_file(trial.folder / "model.bin")
        kept = trial.checkpoint.files["model.bin"].read_bytes()[0]
        yield {"examples": step, "loss": float(seen), "kept": kept}


def handed_on(trial: Any) -> Any:
    """Returns a generator that another function made."""
    return train(trial)


def mapped(trial: Any) -> Any:
    """Returns an iterator that is no generator."""
    return map(lambda step: {"examples": step, "loss": 1.0}, range(1, 4))


class _Called:
    def __call__(self, trial: Any) -> float:
        return self.half(trial)

    def half(self, trial: Any) -> float:
        return float(trial.params["learning_rate"]) / 2

    async def later(self, trial: Any) -> float:
        return 1.0


class _Later:
    async def __call__(self, trial: Any) -> float:
        return 1.0


short = lambda trial: trial.params["learning_rate"]  # noqa: E731
part = functools.partial(lambda factor, trial: factor * trial.params["learning_rate"], 2.0)
called, bound, later_called = _Called(), _Called().half, _Later()
later_bound, later_part = _Called().later, functools.partial(_Called.later, _Called())


async def later(trial: Any) -> float:
    return 1.0


async def later_pieces(trial: Any) -> Any:
    yield {"examples": 1, "loss": 1.0}


def awaitable(trial: Any) -> Any:
    return later(trial)


def many_arguments(trial: Any, more: int) -> float:
    return 0.0


class lower_case:
    pass
