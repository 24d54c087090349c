"""The points of a finite space: how many there are, and which have been tried.

Entries are taken in dependency order, so a point is a path: a name that applies, one of its values, the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from sweep.spec.conditions import dependency_order, is_active, steps
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange, StudySpec
from sweep.vocabulary.trial import Scalar

Step = tuple[str, type, Scalar]
"""A name and its value; the type tells true from 1."""

Path = tuple[Step, ...]

MAX_CONDITIONS = 10_000
"""Conditions on an entry with more values are not counted out."""


class Points:
    """The points of a study's space; `total` is None where they cannot be counted."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._order = dependency_order(spec.space)
        self._asked = {parent for entry in spec.space.values() for parent in entry.when or ()}
        self._counts: dict[tuple[int, Path], int] = {}
        self._tried: dict[Path, int] = {}
        self._sizes = {name: size_of(entry) for name, entry in spec.space.items()}
        self.total = self._count(0, dict(spec.fixed)) if all(map(self._is_countable, self._order)) else None

    def _is_countable(self, name: str) -> bool:
        size = self._sizes[name]
        return size is not None and (name not in self._asked or size <= MAX_CONDITIONS)

    @property
    def tried(self) -> int:
        """How many different points were entered."""
        return self._tried.get((), 0)

    def enter(self, params: Mapping[str, Scalar]) -> None:
        """Count a point as tried; one that was entered before, or is no whole point, does not count."""
        path = self._path(params) if self.total is not None else None
        if path is None or path in self._tried:
            return
        for length in range(len(path) + 1):
            self._tried[path[:length]] = self._tried.get(path[:length], 0) + 1

    def is_left(self, params: Mapping[str, Scalar]) -> bool:
        """Whether some point that begins with these values, in dependency order, was not tried."""
        path: list[Step] = []
        values = dict(self._spec.fixed)
        first_open = len(self._order)
        for index, name in enumerate(self._order):
            if is_active(self._spec.space[name], values):
                if name not in params:
                    first_open = index
                    break
                values[name] = params[name]
                path.append(self._step(name, params[name]))
        return self._tried.get(tuple(path), 0) < self._count(first_open, values)

    def leading(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The values up to the first entry that applies and has none."""
        values = dict(self._spec.fixed)
        found: dict[str, Scalar] = {}
        for name in self._order:
            if is_active(self._spec.space[name], values):
                if name not in params:
                    break
                values[name] = found[name] = params[name]
        return found

    def values(self, name: str) -> Sequence[Scalar]:
        """All values of a finite entry, in order."""
        return listed(self._spec.space[name])

    def _path(self, params: Mapping[str, Scalar]) -> Path | None:
        """The point as a path; None where a value that applies is missing, or is none of the entry's."""
        values = dict(self._spec.fixed)
        path = []
        for name in self._order:
            if is_active(self._spec.space[name], values):
                if name not in params:
                    return None
                values[name] = params[name]
                path.append(self._step(name, params[name]))
        return tuple(path)

    def _step(self, name: str, value: Scalar) -> Step:
        entry = self._spec.space.get(name)
        if isinstance(entry, FloatRange) and isinstance(value, int | float):
            return name, int, step_index(entry, float(value))
        return name, type(value), value

    def _count(self, index: int, values: Mapping[str, Scalar]) -> int:
        """How many points there are from the entry at `index` on, with these values before it."""
        if index == len(self._order):
            return 1
        known = tuple(self._step(name, values[name]) for name in sorted(self._asked & values.keys()))
        if (index, known) not in self._counts:
            name = self._order[index]
            entry = self._spec.space[name]
            if not is_active(entry, values):
                found = self._count(index + 1, values)
            elif name in self._asked:
                found = sum(self._count(index + 1, {**values, name: value}) for value in listed(entry))
            else:
                found = (self._sizes[name] or 0) * self._count(index + 1, values)
            self._counts[index, known] = found
        return self._counts[index, known]


def size_of(entry: Entry) -> int | None:
    """How many values an entry has; None for a continuous range."""
    match entry:
        case Choices():
            return len(entry.choices)
        case IntRange():
            return len(range(entry.low, entry.high + 1, entry.step))
        case FloatRange(step=None):
            return None
        case FloatRange():
            return step_index(entry, entry.high) + 1


def listed(entry: Entry) -> Sequence[Scalar]:
    """All values of an entry that has finitely many, in order."""
    match entry:
        case Choices():
            return entry.choices
        case IntRange():
            return range(entry.low, entry.high + 1, entry.step)
        case FloatRange():
            return tuple(steps(entry))


def step_index(entry: FloatRange, value: float) -> int:
    """Which step of the range a value is, as near as rounding has it."""
    low, step = Fraction(repr(entry.low)), Fraction(repr(entry.step))
    return round((Fraction(repr(value)) - low) / step)
