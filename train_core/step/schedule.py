"""The learning rate as a function of the update count, inside the compiled step; pure.

What a run's length and hyperparameters fix is computed once, by `fixed`: in the step it would be several
kernels of one number each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import mlx.core as mx
import numpy as np

FIXED = ("rise_from", "rise_offset", "rise_updates", "falling_after", "falling_updates")
"""Inputs of the step that `fixed` makes, in float32 as the step would; a task does not see them."""


def fixed(hp: Mapping[str, float], total_updates: float) -> dict[str, float]:
    """Return the warm-up and the span of the schedule of a run of so many updates.

    The warm-up rises linearly, over `warmup_fraction` of them, or over `warmup_updates` from `warmup_start`
    of the rate as mlx-lm's does: the full rate twice, once at its end. Linear and cosine then fall over the
    rest or over `schedule_updates`.
    """
    total, updates = np.float32(total_updates), np.float32(hp["warmup_updates"])
    counted = updates > 0
    warmup = updates + np.float32(1) if counted else np.float32(hp["warmup_fraction"]) * total
    spanned = np.float32(hp["schedule_updates"])
    span = spanned if spanned > 0 else total - warmup
    values = (
        hp["warmup_start"] if counted else 0.0,
        0.0 if counted else 1.0,
        np.maximum(updates, np.float32(1)) if counted else np.maximum(warmup, np.float32(1e-9)),
        warmup,
        np.maximum(span, np.float32(1)),
    )
    return dict(zip(FIXED, map(float, values), strict=True))


def learning_rate(hp: Mapping[str, mx.array], update: mx.array) -> mx.array:
    """Return the rate of the update that follows `update` finished ones: warm-up, then the schedule.

    `hp` holds what is FIXED too. Linear and cosine fall to `schedule_end` of the rate; exponential multiplies
    by `schedule_decay` each update, step each `schedule_updates`. The schedule is a code (its place in
    `hyperparameters.SCHEDULES`) and selected, not branched on.
    """
    done, first = update.astype(mx.float32), hp["rise_from"]
    risen = mx.minimum((done + hp["rise_offset"]) / hp["rise_updates"], 1.0)
    rising = first + (1.0 - first) * risen
    return hp["learning_rate"] * rising * _falling(hp, done - hp["falling_after"])


def _falling(hp: Mapping[str, mx.array], after: mx.array) -> mx.array:
    """The part of the rate that is left `after` so many updates of the schedule."""
    # The compiler cuts a kernel after eleven operations in a row: the longest path, the cosine's, is short.
    counted = mx.maximum(after, 0.0)
    spans = counted / hp["falling_updates"]
    progress = mx.minimum(spans, 1.0)
    cosine = mx.square(mx.cos(0.5 * math.pi * progress))  # = (1 + cos(pi * progress)) / 2
    left = mx.where(hp["schedule"] == 2, cosine, mx.where(hp["schedule"] == 1, 1.0 - progress, 1.0))
    left = hp["schedule_end"] + (1.0 - hp["schedule_end"]) * left
    times = mx.where(hp["schedule"] == 4, mx.floor(spans), counted)
    return mx.where(hp["schedule"] >= 3, mx.power(hp["schedule_decay"], times), left)
