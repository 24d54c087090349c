"""Numbers that JSON has no word for: NaN and infinities are written as `{"float":"NaN"}` and the like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def decode_number(value: Any) -> Any:
    """Give a field's value back, a non-finite number as the float it stands for."""
    return float(value["float"]) if type(value) is dict else value


def decode_mapping(values: Mapping[str, Any]) -> dict[str, Any]:
    """`decode_number` of each value: metrics, hyperparameters, a ledger."""
    return {name: decode_number(value) for name, value in values.items()}


def encode_numbers(value: Any) -> Any:
    """Replace every non-finite number, however deep it lies, by the object that stands for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, Mapping):
        return {name: encode_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode_numbers(item) for item in value]
    return value
