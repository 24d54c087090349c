"""Entries of a space in few words: each gives the mapping that stands in a study file.

Public as `sweep.float`, `sweep.int` and `sweep.choices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

from configfile import plain
from sweep.errors import SweepError
from sweep.vocabulary.trial import Scalar

Entry = dict[str, Any]
"""What stands in a study file below a hyperparameter's name."""


def float_(
    low: SupportsFloat,
    high: SupportsFloat,
    *,
    log: bool = False,
    step: SupportsFloat | None = None,
    when: Mapping[str, Any] | None = None,
) -> Entry:
    """A number from `low` to `high`, both included; `log` samples on a log scale.

    `when` holds what other hyperparameters must be for this one to apply, such as {"optimizer": "sgd"}.
    """
    entry: Entry = {"low": _number(low), "high": _number(high), "log": log}
    return entry | _given(step=None if step is None else _number(step), when=when)


def int_(
    low: SupportsFloat,
    high: SupportsFloat,
    *,
    log: bool = False,
    step: SupportsFloat | None = None,
    when: Mapping[str, Any] | None = None,
) -> Entry:
    """An integer from `low` to `high`, both included; 1e3 is one. Raises SweepError for other numbers."""
    entry: Entry = {"low": _whole(low), "high": _whole(high), "log": log}
    return entry | _given(step=None if step is None else _whole(step), when=when)


def _number(value: object) -> float:
    found = plain.scalar(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SweepError(f"sweep.float: {value!r} is not a number. Write sweep.float(1e-4, 1e-1)")
    return float(found)


def _whole(value: object) -> int:
    found = plain.scalar(value)
    if isinstance(found, bool) or not isinstance(found, int | float) or found != found // 1:
        raise SweepError(f"sweep.int: {value!r} is not an integer. Use sweep.float for numbers in between")
    return int(found)


def choices(*values: Scalar, when: Mapping[str, Any] | None = None) -> Entry:
    """One of the values: `choices("sgd", "adamw")`, or one list or array of them."""
    first: Any = values[0] if len(values) == 1 else None
    listed = first if isinstance(first, list | tuple | range) or plain.is_row(first) else values
    return {"choices": [plain.scalar(each) for each in listed]} | _given(when=when)


def _given(**entries: Any) -> Entry:
    return {name: value for name, value in entries.items() if value is not None}
