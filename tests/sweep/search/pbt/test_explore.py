"""Other hyperparameters near a member's: within bounds, steps and choices."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.pbt.explore import drawn, explored, perturbed
from sweep.spec.population.settings import Population
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange

RATE = FloatRange(low=1e-3, high=1e-1, log=True)
SPACE: dict[str, Entry] = {
    "rate": RATE,
    "decay": FloatRange(low=0.0, high=0.5),
    "stepped": FloatRange(low=0.0, high=1.0, step=0.25),
    "count": IntRange(low=1, high=64, log=True),
    "shift": IntRange(low=-3, high=9, step=3),
    "steps": Choices(choices=(8, 1, 2, 4)),
    "word": Choices(choices=("linear", "cosine")),
}


def is_within(entry: Entry, value: object) -> bool:
    match entry:
        case Choices():
            return value in entry.choices
        case IntRange():
            return isinstance(value, int) and value in range(entry.low, entry.high + 1, entry.step)
        case FloatRange():
            assert isinstance(value, float)
            on_step = entry.step is None or (value - entry.low) / entry.step % 1 == 0
            return entry.low <= value <= entry.high and on_step


@given(seed=st.integers(0, 10**6), rounds=st.integers(1, 5), factor=st.sampled_from([1.01, 1.2, 3.0]))
def test_what_is_tried_is_in_the_space(seed: int, rounds: int, factor: float) -> None:
    chance = Random(seed)
    values = {name: drawn(entry, chance) for name, entry in SPACE.items()}
    for _ in range(rounds):
        for name, entry in SPACE.items():
            assert is_within(entry, values[name]), (name, values[name])
            values[name] = perturbed(entry, values[name], factor, chance)


def test_a_number_is_multiplied_or_divided() -> None:
    found = {perturbed(RATE, 0.01, 1.2, Random(seed)) for seed in range(20)}
    assert found == {0.01 * 1.2, 0.01 / 1.2}


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("steps", 2, {1, 4}),
        ("steps", 1, {2}),
        ("steps", 8, {4}),
        ("word", "cosine", {"cosine"}),
        ("count", 2, {1, 3}),
        ("count", 64, {53, 64}),
        ("stepped", 0.5, {0.25, 0.75}),
        ("shift", -3, {-3, 0}),
        ("shift", 0, {0, 3}),
        ("rate", 0.1, {0.1, 0.1 / 1.2}),
    ],
)
def test_a_value_moves_to_the_next_one_at_least(name: str, value: object, near: set[object]) -> None:
    assert {perturbed(SPACE[name], value, 1.2, Random(seed)) for seed in range(40)} == near  # type: ignore[arg-type]


def test_zero_does_not_stay_for_ever() -> None:
    found = {perturbed(SPACE["decay"], 0.0, 1.2, Random(seed)) for seed in range(20)}
    assert sorted(found) == [0.0, pytest.approx(0.1)]  # type: ignore[type-var]


def test_all_is_drawn_again_or_nothing_as_likely_as_asked() -> None:
    values = {"rate": 0.01, "fixed": 3.0}
    kept = explored(SPACE, values, Population(resample=0.0), Random(0))
    assert kept["rate"] in (0.01 * 1.2, 0.01 / 1.2)
    assert kept["fixed"] == 3.0
    assert kept.keys() == values.keys()
    again = [explored(SPACE, values, Population(resample=1.0), Random(seed))["rate"] for seed in range(50)]
    rates = sorted(float(rate) for rate in again if rate is not None)
    assert len(set(rates)) == 50
    assert rates[0] < 0.003
    assert rates[-1] > 0.03
