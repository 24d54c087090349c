"""The learning rate as a function of the update count, inside the compiled step; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mlx.core as mx


def learning_rate(hp: Mapping[str, mx.array], update: mx.array) -> mx.array:
    """Return the rate of the update that follows `update` finished ones: warm-up, then the schedule.

    The warm-up rises linearly, over `warmup_fraction` of `total_updates`, or over `warmup_updates` from
    `warmup_start` of the rate as mlx-lm's does: the full rate twice, once at its end. Linear and cosine then
    fall to `schedule_end` of the rate, over the rest or over `schedule_updates`; exponential multiplies by
    `schedule_decay` each update, step each `schedule_updates`. The schedule is a code (its place in
    `hyperparameters.SCHEDULES`) and selected, not branched on.
    """
    done, total = update.astype(mx.float32), hp["total_updates"]
    counted = hp["warmup_updates"] > 0
    fraction = hp["warmup_fraction"] * total
    warmup = mx.where(counted, hp["warmup_updates"] + 1.0, fraction)
    by_count = mx.minimum(done / mx.maximum(hp["warmup_updates"], 1.0), 1.0)
    by_count = hp["warmup_start"] + (1.0 - hp["warmup_start"]) * by_count
    rising = mx.where(counted, by_count, mx.minimum((done + 1) / mx.maximum(fraction, 1e-9), 1.0))
    after = done - warmup
    span = mx.where(hp["schedule_updates"] > 0, hp["schedule_updates"], total - warmup)
    return hp["learning_rate"] * rising * _falling(hp, after, mx.maximum(span, 1.0))


def _falling(hp: Mapping[str, mx.array], after: mx.array, span: mx.array) -> mx.array:
    """The part of the rate that is left `after` so many updates of the schedule, which spans `span`."""
    progress = mx.clip(after / span, 0.0, 1.0)
    cosine = mx.square(mx.cos(0.5 * math.pi * progress))  # = (1 + cos(pi * progress)) / 2
    left = mx.where(hp["schedule"] == 1, 1.0 - progress, mx.where(hp["schedule"] == 2, cosine, 1.0))
    left = hp["schedule_end"] + (1.0 - hp["schedule_end"]) * left
    counted = mx.maximum(after, 0.0)
    times = mx.where(hp["schedule"] == 4, mx.floor(counted / span), counted)
    return mx.where(hp["schedule"] >= 3, mx.power(hp["schedule_decay"], times), left)
