"""Linear regression with noisy answers: a high learning rate arrives soon, a low one settles."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from train_core import Dataset, Mean, Task

FEATURES = 32
TRAIN, VALIDATION = 2048, 512
NOISE = 3.0


class Regression(Task):
    """`validation_loss` is the squared error to the true answers, without noise: 0 is best."""

    def data(self) -> Dataset:
        random = np.random.default_rng(0)
        scale = np.geomspace(1.0, 0.2, FEATURES)  # some weights are learned 25 times as fast as others
        x = random.normal(size=(TRAIN + VALIDATION, FEATURES)) * scale
        answers = x @ (1 / scale)
        noise = random.normal(size=TRAIN) * NOISE
        seen = x[:TRAIN]
        noise -= seen @ np.linalg.lstsq(seen, noise, rcond=None)[0]  # so that the true weights fit best
        rows = {"x": x.astype(np.float32), "y": answers.astype(np.float32)}
        train = {name: values[:TRAIN] for name, values in rows.items()}
        train["y"] = (train["y"] + noise).astype(np.float32)
        return Dataset(train=train, validation={name: values[TRAIN:] for name, values in rows.items()})

    def model(self) -> nn.Module:
        return nn.Linear(FEATURES, 1, bias=False)

    def loss(self, model: Any, batch: dict[str, mx.array], hp: Any) -> Mean:
        return Mean(mx.square(model(batch["x"]).squeeze(-1) - batch["y"]))

    def evaluate(self, model: Any, batch: dict[str, mx.array], hp: Any) -> dict[str, Mean]:
        return {"loss": self.loss(model, batch, hp)}
