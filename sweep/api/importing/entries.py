"""Other tools' distributions as entries of a space."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sweep.api.importing.drafts import ImportFault
from sweep.vocabulary.trial import Scalar

Entry = dict[str, Any]

MOST = 1e300
"""No bound is larger."""

DEVIATIONS = 3
"""A normal distribution becomes a range of so many standard deviations to each side."""


def number(name: str, value: Any) -> float:
    """A bound that is a number. Raises ImportFault."""
    try:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found: float = value if is_number else float(value)
    except (TypeError, ValueError):
        raise ImportFault(f"{name}: {value!r} is no number. Write one") from None
    if not abs(found) <= MOST:
        raise ImportFault(f"{name}: is no bound that a range can have. Write a finite number")
    return found


def positive(name: str, value: Any) -> float:
    """A step. Raises ImportFault where it is not above 0."""
    found = number(name, value)
    if found <= 0:
        raise ImportFault(f"{name}: {value!r} is no step. Write one above 0")
    return int(found) if found == int(found) else found


def whole(name: str, value: Any) -> int:
    """A count. Raises ImportFault where it is none."""
    found = number(name, value)
    if found != int(found):
        raise ImportFault(f"{name}: {value!r} is no whole number. Write one")
    return int(found)


def listed(name: str, value: Any) -> list[Any]:
    """A list, empty for nothing. Raises ImportFault where it is another value."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImportFault(f"{name}: is no list. Write one")
    return value


def words(name: str, value: Any) -> list[str]:
    """A command as a list of words, or in one text as a shell splits it. Raises ImportFault."""
    try:
        return shlex.split(value) if isinstance(value, str) else [str(each) for each in listed(name, value)]
    except ValueError as error:
        raise ImportFault(f"{name}: cannot be split into words: {error}. Mend its quotes") from error


def scalar(value: Any) -> Scalar:
    """A value as one argument: lists and mappings as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value).replace("'", '"')


def count(entry: Entry) -> int:
    """How many values an entry has; 0 for a range that is no list of them."""
    if "choices" in entry:
        return len(entry["choices"])
    step = entry.get("step", 1 if isinstance(entry["low"], int) else 0)
    return round((entry["high"] - entry["low"]) / step) + 1 if step else 0


def uniform(low: float, high: float, *, log: bool = False) -> Entry:
    """A range of numbers, its bounds written so that they are no integers."""
    entry: Entry = {"low": float(f"{low:.12g}"), "high": float(f"{high:.12g}")}
    return {**entry, "log": True} if log else entry


def integers(low: float, high: float, *, log: bool = False, step: int = 1) -> Entry:
    """A range of integers; a step that does not divide it moves its upper end down."""
    low, high = math.ceil(low), math.floor(high)
    entry: Entry = {"low": low, "high": low + (high - low) // step * step}
    if log:
        return {**entry, "high": high, "log": True}
    return {**entry, "step": step} if step != 1 else entry


def quantised(low: float, high: float, q: float) -> Entry:
    """Multiples of `q` in a range."""
    step, first, last = Fraction(repr(q)), Fraction(repr(low)), Fraction(repr(high))
    bottom, top = -(-first // step) * step, last // step * step
    if step.denominator == 1:
        return integers(int(bottom), int(top), step=int(step))
    return {"low": float(bottom), "high": float(top), "step": float(step)}


def stepped(low: float, high: float, step: float) -> Entry:
    """Steps from the lower end on; one that does not divide the range moves its upper end down."""
    first, size = Fraction(repr(float(low))), Fraction(repr(float(step)))
    last = first + (Fraction(repr(float(high))) - first) // size * size
    return {"low": float(first), "high": float(last), "step": float(size)}


def quantised_log(low: float, high: float, q: float) -> Entry:
    """Multiples of `q` on a log scale."""
    if q == 1:
        return integers(max(low, 1), high, log=True)
    return {**quantised(max(low, q), high, q), "log": True}


def choices(values: Sequence[Any]) -> Entry:
    """One of the values, each once; lists and mappings as text."""
    kept: list[Scalar] = []
    for value in map(scalar, values):
        if not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in kept):
            kept.append(value)
    return {"choices": kept}


def normal(mean: float, deviation: float, q: float | None = None) -> Entry:
    """A range around the mean in the place of a normal distribution."""
    low, high = (float(f"{mean + side * DEVIATIONS * deviation:.12g}") for side in (-1, 1))
    return uniform(low, high) if q is None else quantised(low, high, q)
