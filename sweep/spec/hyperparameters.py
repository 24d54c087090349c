"""The hyperparameters that the training core itself understands, and which values each may take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from configfile import nearest
from sweep.vocabulary.trial import Scalar

OPTIMIZERS = (
    "sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "adamax", "lion", "adafactor", "muon",
)  # fmt: skip
PRECISIONS = ("float32", "float16", "bfloat16")
SCHEDULES = ("constant", "cosine", "linear")


@dataclass(frozen=True)
class Words:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def rule(self) -> str:
        return f"must be one of {', '.join(self.words)}"

    def accepts(self, value: Scalar) -> bool:
        return value in self.words

    def remedy(self, value: Scalar) -> str | None:
        return nearest.remedy(value, self.words)


@dataclass(frozen=True)
class Pair:
    """Two numbers in [0, 1) as one text, since a hyperparameter is one scalar."""

    rule: str = 'must be two numbers in [0, 1) as text, such as "0.9, 0.999"'

    def accepts(self, value: Scalar) -> bool:
        return isinstance(value, str) and re.fullmatch(r"\s*0?\.\d+\s*,\s*0?\.\d+\s*", value) is not None

    def remedy(self, value: Scalar) -> str | None:
        return None


@dataclass(frozen=True)
class Numbers:
    """Numbers that a test of their own admits; `or_null` where null turns the feature off."""

    rule: str
    low: float
    high: float = float("inf")
    low_included: bool = True
    high_included: bool = False
    integer: bool = False
    or_null: bool = False

    def accepts(self, value: Scalar) -> bool:
        if value is None:
            return self.or_null
        if isinstance(value, bool | str) or (self.integer and not isinstance(value, int)):
            return False
        above = value >= self.low if self.low_included else value > self.low
        return above and (value <= self.high if self.high_included else value < self.high)

    def remedy(self, value: Scalar) -> str | None:
        return None


_WHOLE = Numbers("must be an integer of at least 1", low=1, integer=True)
_RATE = Numbers("must be a number in [0, 1)", low=0, high=1)

Core = Words | Numbers | Pair

CORE: Mapping[str, Core] = {
    "learning_rate": Numbers("must be a number above 0", low=0, low_included=False),
    "accumulation_steps": _WHOLE,
    "precision": Words(PRECISIONS),
    "optimizer": Words(OPTIMIZERS),
    "weight_decay": Numbers("must be a number of at least 0", low=0),
    "dropout": _RATE,
    "betas": Pair(),
    "momentum": _RATE,
    "warmup_fraction": Numbers("must be a number in [0, 1]", low=0, high=1, high_included=True),
    "schedule": Words(SCHEDULES),
    "gradient_clip": Numbers(
        "must be a number above 0, or null for none", low=0, low_included=False, or_null=True
    ),
    "micro_batch_size": _WHOLE,
}
"""Every other name reaches the task as it is."""

STATIC = frozenset({"precision", "optimizer", "micro_batch_size"})
"""Core names whose every value is a program of its own; a task adds more."""

WORDS = frozenset(name for name, core in CORE.items() if isinstance(core, Words | Pair))
"""Core names whose values are words, static or not."""
