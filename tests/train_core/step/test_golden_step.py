"""Updates against arithmetic done by hand in NumPy: the first stage that differs is named."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt
import pytest

from tests.train_core.conftest import program_of
from train_core import Dataset, Length, Mean, Population, Task, keys

X = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.25], [3.0, 1.0], [0.0, 1.5], [1.0, 1.0]])
Y = np.array([1.0, -1.0, 0.5, 2.0, 0.0, 4.0])
WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 0.25, 3.0])
START = np.array([0.5, -0.25])
RATE, DECAY, CLIP, BETAS, EPSILON = 0.1, 0.05, 1.5, (0.8, 0.95), 1e-8
MICRO_BATCH, K, UPDATES, WARMUP = 2, 3, 8, 0.5

Array = npt.NDArray[np.float64]


class Line(nn.Module):
    """A weighted sum of two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.w = mx.array(START, mx.float32)

    def __call__(self, x: mx.array) -> mx.array:
        return (x * self.w).sum(axis=-1)


class Squares(Task):
    """Weighted squared errors; all examples are seen once an update, so their order does not matter."""

    def data(self) -> Dataset:
        part = {"x": X.astype(np.float32), "y": Y.astype(np.float32), "weight": WEIGHTS.astype(np.float32)}
        return Dataset(train=part, validation=part)

    def model(self) -> nn.Module:
        return Line()

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(mx.square(model(batch["x"]) - batch["y"]), batch["weight"])

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}


HYPERPARAMETERS: dict[str, object] = {
    "micro_batch_size": MICRO_BATCH,
    "accumulation_steps": K,
    "learning_rate": RATE,
    "weight_decay": DECAY,
    "gradient_clip": CLIP,
    "betas": BETAS,
    "schedule": "cosine",
    "warmup_fraction": WARMUP,
}


def by_hand(updates: int) -> dict[str, Array | float]:
    """Return every stage of the last of some updates, in the order in which they are computed."""
    w, m, v = START, np.zeros(2), np.zeros(2)
    stages: dict[str, Array | float] = {}
    for done in range(updates):
        errors = X @ w - Y
        loss = float((WEIGHTS * errors**2).sum() / WEIGHTS.sum())
        gradient = (2 * WEIGHTS * errors) @ X / WEIGHTS.sum()
        clipped = gradient * min(1.0, CLIP / (float(np.linalg.norm(gradient)) + 1e-6))
        warmup = WARMUP * UPDATES
        progress = max(0.0, (done - warmup) / (UPDATES - warmup))
        rate = RATE * min(1.0, (done + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * progress))
        m = BETAS[0] * m + (1 - BETAS[0]) * clipped
        v = BETAS[1] * v + (1 - BETAS[1]) * clipped**2
        corrected = np.sqrt(v / (1 - BETAS[1] ** (done + 1))) + EPSILON
        w = w * (1 - rate * DECAY) - rate * m / (1 - BETAS[0] ** (done + 1)) / corrected
        stages = {
            "loss before the update": loss,
            "first moment (gradient, its division by the weight, clipping, beta_1)": m,
            "second moment (as the first, beta_2)": v,
            "parameters (schedule, bias correction, decay)": w,
        }
    return stages


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("updates", [1, 2, 6])
@pytest.mark.usefixtures("uncompiled")
def test_a_golden_step_equals_arithmetic_by_hand_stage_by_stage(updates: int, width: int) -> None:
    length = Length(UPDATES * K * MICRO_BATCH, K * MICRO_BATCH)
    population = Population(program_of(Squares(), **HYPERPARAMETERS), width)
    for lane in range(width):
        population.load(lane, key=keys.key(lane), hyperparameters=HYPERPARAMETERS, length=length)
    reports = [population.advance().reports for _ in range(updates)][-1]
    arrays = population.snapshot(width - 1).arrays
    found = (
        reports[-1].metrics["train_loss"],
        arrays["optimizer.w.m"],
        arrays["optimizer.w.v"],
        arrays["parameters.w"],
    )
    for (stage, expected), value in zip(by_hand(updates).items(), found, strict=True):
        said = f"update {updates}, first stage that differs: {stage}"
        np.testing.assert_allclose(np.array(value), expected, rtol=2e-5, err_msg=said)
