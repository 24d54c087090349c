"""Histories of several studies that share, one seed each; many more: `make simulate`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from sweep.executors.sharing import broker
from sweep.executors.sharing.broker import Broker
from sweep.executors.sharing.messages import Share
from sweep.executors.sharing.seat import Seat
from tests.simulation.history import folder, without_tables
from tests.simulation.recipe import Recipe
from tests.simulation.sharing.checks import play
from tests.simulation.sharing.history import History, Plan

SEEDS = 60


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SEEDS, 20))
def test_every_study_ends_with_the_table_that_it_makes_alone(start: int) -> None:
    for seed in range(start, start + 20):
        play(Plan.of_seed(seed))


def three(*, priority: int = 0, begins: float = 0.0) -> Plan:
    """Studies of weights 1, 1 and 2 on four slots; the last one has a priority and begins later."""
    recipe = Recipe(0, trials=24, reports=4, run_s=8.0, transfer_s=0.5)
    shares = (Share(), Share(), Share(priority, weight=2.0))
    machines = {"m0": 2, "m1": 1, "m2": 1}
    return Plan(0, machines, (recipe,) * 3, shares, (tuple(machines),) * 3, (0.0, 0.0, begins), ())


def test_shares_over_the_run_are_as_the_weights_and_no_slot_stands_idle() -> None:
    history = play(three())
    total = sum(history.together_s.values())
    for name, weight in (("study-0", 1), ("study-1", 1), ("study-2", 2)):
        assert history.together_s[name] / total == pytest.approx(weight / 4, rel=0.05)
    plan = three()
    one = replace(
        plan,
        recipes=(replace(plan.recipes[0], trials=72),),
        shares=(Share(),),
        usable=plan.usable[:1],
        begins=(0.0,),
    )
    assert play(one).ticks / history.ticks >= 0.95, "three together take as long as one with all their trials"


def test_a_higher_priority_has_its_slots_a_report_interval_and_three_seconds_after_it_begins() -> None:
    seen = []
    with folder() as root, without_tables():
        history = History(three(priority=1, begins=20.0), root)
        check = history._check

        def checked() -> None:
            check()
            urgent = history.studies[2]
            if urgent.seat is not None and urgent.seat._held.total() == 2:
                seen.append(history.ray.now)

        history._check = checked  # type: ignore[method-assign]
        history.run()
    assert seen[0] <= 20.0 + 2.0 + 3.0


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
