"""The training core's own hyperparameters, as a study file may give them.

What they are called and may be stands in `train_core.hyperparameters`, which loads no MLX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from configfile import nearest
from sweep.vocabulary.trial import Scalar
from train_core.hyperparameters import (
    DEFAULTS,
    LARGEST_EXACT,
    LENGTH,
    STATIC,
    VALUES,
    Factors,
    Flag,
    Numbers,
    Pair,
    Values,
    Words,
    factors_of,
    is_carried,
)

ABOVE_ZERO = ("learning_rate", "gradient_clip")
"""The core takes 0 for no step, or for no clipping; a study says null, or leaves the name out."""

CORE: Mapping[str, Values] = {
    name: replace(values, low_included=False)
    if name in ABOVE_ZERO and isinstance(values, Numbers)
    else values
    for name, values in VALUES.items()
}
"""Every other name reaches the task as it is."""

WORDS = frozenset(name for name, values in CORE.items() if isinstance(values, Words | Pair | Flag | Factors))
"""Core names whose values are words, static or not."""

FACTORS = frozenset(name for name, values in CORE.items() if isinstance(values, Factors))
"""Core names whose values are patterns with factors, some of them names of hyperparameters."""

MEANINGS: Mapping[str, str] = {
    "accumulation_steps": "Micro-batches whose gradients are summed for one update",
    "betas": "Decay rates of the two running means of adam, adamw, adamax and lion",
    "bias_correction": "Whether adam and adamw correct their means for having begun at 0",
    "decay_factors": "What `weight_decay` is multiplied by in parameters whose paths fit: 0 for none there",
    "dropout": "A dropout rate, which the task reads as `hp.dropout`",
    "gradient_clip": "The global norm that gradients are clipped to",
    "learning_rate": "The peak learning rate",
    "micro_batch_size": "Examples per step; may also stand in `trial`",
    "momentum": "Momentum of sgd and muon",
    "optimizer": "The optimizer of `mlx.optimizers`",
    "optimizer_eps": "What optimizers add to a denominator; adafactor has its own",
    "precision": "The dtype of the forward and backward pass",
    "rate_factors": "What `learning_rate` is multiplied by in parameters whose paths fit",
    "schedule": "How the learning rate decays after the warm-up; `constant` does not decay",
    "schedule_decay": "What `exponential` multiplies the rate by each update, `step` each `schedule_updates`",
    "schedule_end": "Where `linear` and `cosine` end, as a fraction of the learning rate",
    "schedule_updates": "Updates that `linear` and `cosine` fall over, 0 for the rest; a step of `step`",
    "warmup_fraction": "The fraction of a trial over which the learning rate rises to its peak",
    "warmup_start": "Where a warm-up by `warmup_updates` begins, as a fraction of the learning rate",
    "warmup_updates": "Updates over which the learning rate rises, instead of `warmup_fraction`",
    "weight_decay": "Weight decay; an L2 penalty for optimizers that have none",
}

__all__ = [
    "CORE", "DEFAULTS", "FACTORS", "LARGEST_EXACT", "LENGTH", "MEANINGS", "STATIC", "WORDS", "Numbers",
    "Values", "as_scalar", "factors_of", "is_carried", "remedy",
]  # fmt: skip


def as_scalar(name: str, value: object) -> object:
    """A value as a trial holds it, a scalar: the text of two betas, or of patterns with factors."""
    if isinstance(CORE.get(name), Pair) and isinstance(value, list) and all(map(_is_number, value)):
        return ", ".join(map(repr, value))
    if name in FACTORS and isinstance(value, dict):
        return ", ".join(f"{pattern}: {factor}" for pattern, factor in value.items())
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def remedy(values: Values, value: Scalar) -> str | None:
    """What was probably meant instead of a value that is not accepted."""
    return nearest.remedy(value, values.words) if isinstance(values, Words) else None
