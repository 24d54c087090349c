"""Histories of several studies that share, one seed each; many more: `make simulate`."""

from __future__ import annotations

from collections import Counter

import pytest

from sweep.executors.sharing import broker
from sweep.executors.sharing.broker import Broker
from sweep.executors.sharing.seat import Seat
from tests.simulation.sharing.checks import play
from tests.simulation.sharing.history import Plan

SEEDS = 60


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SEEDS, 20))
def test_every_study_ends_with_the_table_that_it_makes_alone(start: int) -> None:
    for seed in range(start, start + 20):
        play(Plan.of_seed(seed))


def test_a_seed_decides_everything() -> None:
    one, two = play(Plan.of_seed(3)), play(Plan.of_seed(3))
    assert (one.ticks, one.transitions, one.held_s) == (two.ticks, two.transitions, two.held_s)


BROKEN = {
    "a new broker listens first": (broker, "NEW_S", -1.0),
    "what was allowed counts as taken": (
        Broker,
        "_taken_by",
        lambda self, known: Counter(known.standing.held),
    ),
    "a worker that is given back counts until it has ended": (
        Seat,
        "give",
        lambda self, node: self.gone(node),
    ),
}
"""What keeps a slot from being held twice, left out on purpose."""


@pytest.mark.parametrize("part", BROKEN)
def test_each_part_that_keeps_slots_apart_is_needed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, instead = BROKEN[part]
    monkeypatch.setattr(owner, name, instead)
    assert any(fails(Plan.of_seed(seed)) for seed in range(200))


def fails(plan: Plan) -> bool:
    """Whether what is checked does not hold."""
    try:
        play(plan)
    except AssertionError:
        return True
    return False
