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
    done, total = update.astype(mx.float32), hp["total_updates"]
    warmup = hp["warmup_fraction"] * total
    rising = mx.minimum((done + 1) / mx.maximum(warmup, 1e-9), 1.0)
    progress = mx.clip((done - warmup) / mx.maximum(total - warmup, 1.0), 0.0, 1.0)
    cosine = mx.square(mx.cos(0.5 * math.pi * progress))  # = (1 + cos(pi * progress)) / 2
    falling = mx.where(hp["schedule"] == 1, 1.0 - progress, mx.where(hp["schedule"] == 2, cosine, 1.0))
    return hp["learning_rate"] * rising * falling
