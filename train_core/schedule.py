"""The learning rate as a function of the update count, inside the compiled step; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mlx.core as mx


def learning_rate(hp: Mapping[str, mx.array], update: mx.array) -> mx.array:
    """Return the rate of the update that follows `update` finished ones.

    Linear warm-up over `warmup_fraction` of `total_updates`, then the schedule down to 0. The
    schedule is a code (its place in `hyperparameters.SCHEDULES`) and selected, not branched on.
    """
    done = update.astype(mx.float32)
    warmup = hp["warmup_fraction"] * hp["total_updates"]
    rising = mx.minimum((done + 1) / mx.maximum(warmup, 1e-9), 1.0)
    progress = mx.clip((done - warmup) / mx.maximum(hp["total_updates"] - warmup, 1.0), 0.0, 1.0)
    linear = 1.0 - progress
    cosine = 0.5 * (1.0 + mx.cos(math.pi * progress))
    falling = mx.where(hp["schedule"] == 1, linear, mx.where(hp["schedule"] == 2, cosine, 1.0))
    return hp["learning_rate"] * rising * falling
