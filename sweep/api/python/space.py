"""Entries of a space in few words: each gives the mapping that stands in a study file.

Public as `sweep.float`, `sweep.int` and `sweep.choices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.errors import SweepError
from sweep.vocabulary.trial import Scalar

Entry = dict[str, Any]
"""What stands in a study file below a hyperparameter's name."""


def float_(
    low: float,
    high: float,
    *,
    log: bool = False,
    step: float | None = None,
    when: Mapping[str, Any] | None = None,
) -> Entry:
    """A number from `low` to `high`, both included; `log` samples on a log scale.

    `when` holds what other hyperparameters must be for this one to apply, such as {"optimizer": "sgd"}.
    """
    entry: Entry = {"low": float(low), "high": float(high), "log": log}
    return entry | _given(step=None if step is None else float(step), when=when)


def int_(
    low: float,
    high: float,
    *,
    log: bool = False,
    step: float | None = None,
    when: Mapping[str, Any] | None = None,
) -> Entry:
    """An integer from `low` to `high`, both included; 1e3 is one. Raises SweepError for other numbers."""
    entry: Entry = {"low": _whole(low), "high": _whole(high), "log": log}
    return entry | _given(step=None if step is None else _whole(step), when=when)


def _whole(value: object) -> int:
    if not isinstance(value, int | float) or value != value // 1:
        raise SweepError(f"sweep.int: {value!r} is not an integer. Use sweep.float for numbers in between")
    return int(value)


def choices(*values: Scalar, when: Mapping[str, Any] | None = None) -> Entry:
    """One of the values: `choices("sgd", "adamw")`, or one list of them."""
    listed = values[0] if len(values) == 1 and isinstance(values[0], list | tuple | range) else values
    return {"choices": list(listed)} | _given(when=when)


def _given(**entries: Any) -> Entry:
    return {name: value for name, value in entries.items() if value is not None}
