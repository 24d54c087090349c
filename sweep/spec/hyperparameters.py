"""The training core's own hyperparameters, as a study file may give them.

What they are called and may be stands in `train_core.hyperparameters`, which loads no MLX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from configfile import nearest
from sweep.vocabulary.trial import Scalar
from train_core.hyperparameters import STATIC, VALUES, Numbers, Pair, Values, Words

ABOVE_ZERO = ("learning_rate", "gradient_clip")
"""The core takes 0 for no step, or for no clipping; a study says null, or leaves the name out."""

CORE: Mapping[str, Values] = {
    name: replace(values, low_included=False)
    if name in ABOVE_ZERO and isinstance(values, Numbers)
    else values
    for name, values in VALUES.items()
}
"""Every other name reaches the task as it is."""

WORDS = frozenset(name for name, values in CORE.items() if isinstance(values, Words | Pair))
"""Core names whose values are words, static or not."""

__all__ = ["CORE", "STATIC", "WORDS", "Values", "remedy"]


def remedy(values: Values, value: Scalar) -> str | None:
    """What was probably meant instead of a value that is not accepted."""
    return nearest.remedy(value, values.words) if isinstance(values, Words) else None
