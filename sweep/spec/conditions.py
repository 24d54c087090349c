"""Conditional hyperparameters: which `when` holds, and an order in which parents come before children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter

from sweep.spec.fields import Condition, Interval
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange
from sweep.vocabulary.trial import Scalar


class Circle(Exception):
    """Conditions that wait for each other; `names` from a name back to itself."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(" -> ".join(names))
        self.names = names


def dependency_order(space: Mapping[str, Entry]) -> list[str]:
    """All names, parents before children, else by name, so the file's order means nothing; raises Circle."""
    parents = {name: sorted(set(entry.when or ()) & set(space)) for name, entry in space.items()}
    sorter = TopologicalSorter(parents)
    order: list[str] = []
    try:
        sorter.prepare()
    except CycleError as error:
        raise Circle(error.args[1][::-1]) from error
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def is_active(entry: Entry, values: Mapping[str, Scalar]) -> bool:
    """Whether the entry is part of a trial with these values; a parent that is not is no match."""
    conditions = (entry.when or {}).items()
    return all(parent in values and holds(condition, values[parent]) for parent, condition in conditions)


def holds(condition: Condition, value: Scalar) -> bool:
    """Whether a value meets a condition; `true` is not 1 here."""
    match condition:
        case Interval(low=low, high=high):
            if isinstance(value, bool | str | None):
                return False
            return (low is None or low <= value) and (high is None or value <= high)
        case tuple():
            return any(same(item, value) for item in condition)
        case _:
            return same(condition, value)


def can_hold(condition: Condition, parent: Entry) -> bool:
    """Whether some value of the parent's meets the condition."""
    match parent, condition:
        case Choices(choices=choices), _:
            return any(holds(condition, choice) for choice in choices)
        case _, Interval(low=low, high=high):
            return (low is None or low <= parent.high) and (high is None or parent.low <= high)
        case _, tuple():
            return any(contains(parent, item) for item in condition)
        case _:
            return contains(parent, condition)


def contains(entry: Entry, value: Scalar) -> bool:
    """Whether the entry can propose the value (steps aside)."""
    match entry:
        case Choices(choices=choices):
            return any(same(choice, value) for choice in choices)
        case IntRange(low=low, high=high):
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        case FloatRange(low=low, high=high):
            return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def steps(entry: IntRange | FloatRange) -> Iterator[int | float]:
    """The values of a range with a step, each rounded once: 0.3 and not 0.30000000000000004."""
    if isinstance(entry, IntRange):
        yield from range(entry.low, entry.high + 1, entry.step)
        return
    low, step = Fraction(repr(entry.low)), Fraction(repr(entry.step))
    for index in range(int((Fraction(repr(entry.high)) - low) / step) + 1):
        yield float(low + index * step)


def to_step(entry: IntRange | FloatRange, value: float) -> int | float:
    """The step of the range that is nearest to a value within it, rounded once as `steps` gives it."""
    low, step = Fraction(repr(entry.low)), Fraction(repr(entry.step))
    found = low + round((Fraction(repr(value)) - low) / step) * step
    return int(found) if isinstance(entry, IntRange) else float(found)


def off_step(entry: Entry, value: Scalar) -> tuple[int | float, ...]:
    """The steps next to a value within a range that is none of them; nothing where it is one."""
    if isinstance(entry, Choices) or entry.step is None or not isinstance(value, int | float):
        return ()
    low, step, number = (Fraction(repr(each)) for each in (entry.low, entry.step, value))
    below = low + (number - low) // step * step
    if number == below:
        return ()
    near = [each for each in (below, below + step) if each <= Fraction(repr(entry.high))]
    return tuple(int(each) if isinstance(entry, IntRange) else float(each) for each in near)


def entry_text(entry: Entry) -> str:
    """An entry of the space in a few words."""
    match entry:
        case Choices():
            text = "one of " + ", ".join(map(str, entry.choices))
        case IntRange() | FloatRange():
            kind = "integer" if isinstance(entry, IntRange) else "number"
            text = f"{kind} from {_short(entry.low)} to {_short(entry.high)}"
            text += ", log" if entry.log else ""
            text += f", step {_short(entry.step)}" if entry.step is not None and entry.step != 1 else ""
    when = entry.when or {}
    conditions = [f"{parent} is {condition}" for parent, condition in when.items()]
    return text + (f", when {' and '.join(conditions)}" if conditions else "")


def _short(number: float) -> str:
    """A number without what says nothing: 1 for 1.0, and every digit that counts."""
    text = f"{number:g}"
    return text if float(text) == number else repr(number)


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are the same hyperparameter: 1 and 1.0 are, `true` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
