"""Values of NumPy, MLX and pandas, as the plain ones that they mean. None of them is imported here."""

from __future__ import annotations

from typing import Any


def scalar(value: Any) -> Any:
    """A single value as Python's; one of few digits as it is written: 0.1, not 0.10000000149011612."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    found = value.item()
    if isinstance(found, bool | int | str) or type(value).__module__ != "numpy":
        return found
    try:
        return float(str(value))
    except ValueError:  # a date, a complex number
        return found


def is_row(value: Any) -> bool:
    """Whether a value is an array of one dimension, or a column of a table."""
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and len(shape) == 1
