"""The study file's idea of the core's hyperparameters against the core's own."""

from __future__ import annotations

import pytest

from sweep.spec.hyperparameters import ABOVE_ZERO, CORE
from sweep.vocabulary.trial import Scalar
from train_core import hyperparameters as core


def test_names_and_words_are_the_training_cores() -> None:
    assert CORE.keys() == core.VALUES.keys()
    assert all(values == core.VALUES[name] for name, values in CORE.items() if name not in ABOVE_ZERO)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("learning_rate", 0, False),
        ("learning_rate", 1, True),
        ("learning_rate", True, False),
        ("learning_rate", "0.1", False),
        ("accumulation_steps", 1, True),
        ("accumulation_steps", 1.0, False),
        ("dropout", 0.0, True),
        ("dropout", 1.0, False),
        ("warmup_fraction", 1.0, True),
        ("gradient_clip", None, True),
        ("gradient_clip", 0, False),
        ("weight_decay", None, False),
        ("betas", "0.9, .999", True),
        ("betas", "0.9, 1.5", False),
        ("betas", 0.9, False),
        ("decay_factors", "*.bias: 0, *norm*: less", True),
        ("decay_factors", None, True),
        ("rate_factors", "*.bias", False),
        ("rate_factors", 0.5, False),
        ("optimizer", None, False),
        ("bias_correction", False, True),
        ("bias_correction", 1, False),
        ("schedule_decay", 0, False),
        ("schedule_updates", 10, True),
    ],
)
def test_what_core_hyperparameters_accept(name: str, value: Scalar, accepted: bool) -> None:
    assert CORE[name].accepts(value) is accepted
