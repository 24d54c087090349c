"""Hyperparameters of a copied member: each is moved a little, or drawn again from its entry of the space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from sweep.spec.conditions import to_step
from sweep.spec.population.settings import Population
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange
from sweep.vocabulary.trial import Scalar


def explored(
    space: Mapping[str, Entry], hyperparameters: Mapping[str, Scalar], settings: Population, chance: Random
) -> dict[str, Scalar]:
    """Other hyperparameters near these; what is fixed stays."""
    found = dict(hyperparameters)
    for name in sorted(space.keys() & found.keys()):
        if chance.random() < settings.resample:
            found[name] = drawn(space[name], chance)
        else:
            found[name] = perturbed(space[name], found[name], settings.perturb, chance)
    return found


def drawn(entry: Entry, chance: Random) -> Scalar:
    """Any value of the entry, as the random sampler draws one."""
    if isinstance(entry, Choices):
        return chance.choice(entry.choices)
    half = 0.5 * entry.step if isinstance(entry, IntRange) else 0.0  # so that both ends are as likely
    low, high = entry.low - half, entry.high + half
    value = (
        math.exp(chance.uniform(math.log(low), math.log(high))) if entry.log else chance.uniform(low, high)
    )
    return within(entry, value)


def perturbed(entry: Entry, value: Scalar, factor: float, chance: Random) -> Scalar:
    """The value times the factor or divided by it; of listed numbers the one before or after.

    Words are only ever drawn again. A number at an end of its range moves inwards or stays there.
    """
    up = chance.random() < 0.5
    if isinstance(entry, Choices):
        return _neighbour(entry, value, up=up)
    assert isinstance(value, int | float), "a range holds numbers"
    if value == 0:  # which no factor moves
        return within(entry, (factor - 1) * (entry.high if up else entry.low))
    moved = within(entry, value * factor if up else value / factor)
    if moved == value and entry.step is not None:  # less than a step
        moved = within(entry, value + entry.step if up == (value > 0) else value - entry.step)
    return moved


def _neighbour(entry: Choices, value: Scalar, *, up: bool) -> Scalar:
    numbers = [each for each in entry.choices if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(numbers) < len(entry.choices) or value not in numbers or len(numbers) < 2:
        return value
    ordered = sorted(numbers)
    place = ordered.index(value) + (1 if up else -1)
    return ordered[1] if place < 0 else ordered[-2] if place == len(ordered) else ordered[place]


def within(entry: IntRange | FloatRange, value: float) -> int | float:
    """The nearest value that the entry may have."""
    held = min(max(value, entry.low), entry.high)
    return held if entry.step is None else to_step(entry, held)
