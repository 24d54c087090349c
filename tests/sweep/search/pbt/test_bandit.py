"""The bandit goes where intervals brought most, and where little is known."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from sweep.search.pbt.bandit import LEAST, Bandit, Gain, Process
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange

RATE = FloatRange(low=1e-4, high=1.0, log=True)
SPACE: dict[str, Entry] = {"rate": RATE, "kind": Choices(choices=("a", "b"))}


def gains(best: float, interval: int, count: int = 24) -> list[Gain]:
    """Rates over their range; the nearer to `best`, the more an interval brought."""
    chance = Random(interval)
    rates = [10 ** chance.uniform(-4, 0) for _ in range(count)]
    return [Gain({"rate": each}, interval, -abs(math.log10(each / best))) for each in rates]


def proposals(found: list[Gain], interval: int) -> list[float]:
    bandit = Bandit(SPACE, found)
    rates = [bandit.proposed([], interval, Random(seed))["rate"] for seed in range(20)]
    assert all(isinstance(each, float) and 1e-4 <= each <= 1.0 for each in rates)
    return [math.log10(float(each)) for each in rates if each is not None]


def test_it_proposes_near_what_brought_most() -> None:
    assert np.median(proposals(gains(1e-2, 3), 4)) == pytest.approx(-2, abs=0.5)


def test_it_follows_what_changes_with_time() -> None:
    moved = [*gains(1e-1, 1), *gains(1e-1, 2), *gains(1e-3, 9), *gains(1e-3, 10)]
    assert np.median(proposals(moved, 11)) == pytest.approx(-3, abs=0.5)


def test_with_too_little_known_and_without_numbers_it_proposes_nothing() -> None:
    assert Bandit(SPACE, gains(1e-2, 1)[: LEAST - 1]).proposed([], 2, Random(0)) == {}
    unknown = [Gain({"rate": 0.1}, 1, math.nan)] * 9
    assert Bandit(SPACE, unknown).proposed([], 2, Random(0)) == {}
    assert Bandit({"kind": SPACE["kind"]}, gains(1e-2, 1)).proposed([], 2, Random(0)) == {}


def test_what_others_were_given_lowers_the_uncertainty_there() -> None:
    x = np.array([[0.1], [0.9]])
    process = Process(x, np.array([1.0, 1.0]), np.array([1.0, -1.0]), 0.2, 0.1, 0.1)
    at = np.array([[0.5]])
    before = process.predicted(at, 2.0)[1][0]
    assert process.with_pending(at, 2.0).predicted(at, 2.0)[1][0] < 0.6 * before


def test_values_keep_to_the_steps_and_kinds_of_their_entries() -> None:
    space = {"steps": IntRange(low=2, high=10, step=4)}
    found = [Gain({"steps": each}, 1, float(each)) for each in (2, 6, 10) * 3]
    proposed = {Bandit(space, found).proposed([], 2, Random(seed))["steps"] for seed in range(9)}
    assert proposed <= {2, 6, 10}
    assert all(isinstance(each, int) for each in proposed)
