"""A trial of another space in this one: which of its values are taken, moved or filled in, or why not.

Shared by studies whose space was edited and by `warm_start`. A value that an entry does not have counts as
the nearest that it has, where that is close. Else the trial is left out: a sampler would take it for one at
a point that was never tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, log
from typing import Any

from sweep.spec.conditions import dependency_order, is_active, same, to_step
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange, StudySpec
from sweep.vocabulary.trial import Scalar

CLOSE = 0.1
"""How far a value may be moved, as a share of the range, in its logarithm where it is searched so."""


@dataclass(frozen=True)
class Fit:
    """A trial's values in a space that is not the one it was asked in.

    `moved` are names of values that stand for ones close to them, `filled` of those that the trial did not
    have itself. `misfit` is the name for which the trial is left out; `params` then holds what fits alone.
    """

    params: Mapping[str, Scalar]
    moved: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    misfit: str | None = None

    @property
    def exact(self) -> bool:
        """Whether the trial was at this very point of the space."""
        return self.misfit is None and not self.moved


class Fitting:
    """Fits trials into a study's space."""

    def __init__(
        self,
        spec: StudySpec,
        *,
        before: Mapping[str, Entry],
        earlier: Mapping[str, Scalar] | None = None,
    ) -> None:
        """`before` are the entries by which the trials were asked, as far as the space has others.

        `earlier` has values of the trials that the study file does not give any more.
        """
        self._space = spec.space
        self._fixed = spec.fixed
        self._order = dependency_order(spec.space)
        self._earlier = {**(earlier or {}), **spec.earlier}
        self._before = before

    def fit(self, params: Mapping[str, Scalar], hyperparameters: Mapping[str, Scalar]) -> Fit:
        """Fit a trial by what was varied where it was asked, and by all that it was trained with."""
        values, found = dict(self._fixed), dict[str, Scalar]()
        moved, filled, misfits = list[str](), list[str](), list[str]()
        for name, value in self._fixed.items():
            had = params.get(name, value if name in hyperparameters else self._earlier.get(name, value))
            if not same(had, value):
                (moved if apart(self._before.get(name), had, value) <= CLOSE else misfits).append(name)
        for name in self._order:
            entry = self._space[name]
            if not is_active(entry, values):
                continue
            if name not in hyperparameters and name not in self._earlier:
                misfits.append(name)
                continue
            if name not in hyperparameters:
                filled.append(name)
            value = hyperparameters.get(name, self._earlier.get(name))
            taken = nearest(entry, value)
            if not taken:
                misfits.append(name)
                continue
            if not same(taken[0], value):
                moved.append(name)
            found[name] = values[name] = taken[0]
        return Fit(found, tuple(moved), tuple(filled), misfits[0] if misfits else None)


def nearest(entry: Entry, value: Scalar) -> tuple[Scalar, ...]:
    """The entry's own value that is the same, or the one that is close; nothing where none is."""
    if isinstance(entry, Choices):
        return tuple(each for each in entry.choices if same(each, value))[:1]
    if not _is_number(value):
        return ()
    within = min(max(float(value), entry.low), entry.high)  # type: ignore[arg-type]
    if entry.low <= value <= entry.high:  # type: ignore[operator]
        within = value  # type: ignore[assignment]
    if entry.step is not None:
        within = to_step(entry, within)
    taken = int(within) if isinstance(entry, IntRange) else float(within)
    return (taken,) if apart(entry, taken, value) <= CLOSE else ()


def apart(entry: Entry | None, one: Scalar, other: Scalar) -> float:
    """How far two numbers are apart in a range, as a share of it; infinitely, where that has no meaning."""
    if not isinstance(entry, IntRange | FloatRange) or not (_is_number(one) and _is_number(other)):
        return inf
    ends = [float(each) for each in (entry.low, entry.high, one, other)]  # type: ignore[arg-type]
    if entry.log:
        if min(ends) <= 0:
            return inf
        ends = [log(each) for each in ends]
    low, high, first, second = ends
    return abs(first - second) / (high - low)


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def entry_of(values: Mapping[str, Any]) -> Entry:
    """An entry from plain values, as a study that was resolved has them."""
    if "choices" in values:
        return Choices.model_validate(values)
    if isinstance(values["low"], int) and isinstance(values["high"], int):
        return IntRange.model_validate(values)
    return FloatRange.model_validate(values)


def summary(fits: Iterable[Fit]) -> str:
    """In words, what became of so many trials."""
    fits = list(fits)
    used = [each for each in fits if each.misfit is None]
    parts = [f"{len(used)} of {len(fits)} earlier trials fit"]
    for word, names in (
        ("moved to the nearest value of {}", [each.moved for each in used]),
        ("with a value filled in for {}", [each.filled for each in used]),
    ):
        if count := sum(map(bool, names)):
            parts.append(f"{count} {word.format(_listed(name for each in names for name in each))}")
    if len(used) < len(fits):
        left = _listed(each.misfit for each in fits if each.misfit is not None)
        parts.append(f"{len(fits) - len(used)} left out by {left}")
    return ", ".join(parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name for name, _ in Counter(names).most_common())
