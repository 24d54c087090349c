"""Which members copy which: three rules over costs and ages."""

from __future__ import annotations

from random import Random

import pytest

from sweep.search.pbt.selection import leading, source_of

COSTS = {number: float(number) for number in range(8)}
AGES = {number: 10 for number in range(8)}


def sources(
    number: int, select: str, *, costs: dict[int, float] = COSTS, ages: dict[int, int] = AGES
) -> set[int | None]:
    """Whom a member copies, by any chance."""
    return {
        source_of(number, costs, ages, select=select, quantile=0.25, chance=Random(seed))
        for seed in range(60)
    }


def test_by_truncation_the_worst_copy_the_best() -> None:
    assert sources(7, "truncation") == sources(6, "truncation") == {0, 1}
    assert sources(5, "truncation") == sources(0, "truncation") == {None}


def test_in_a_tournament_a_member_copies_a_better_one_that_it_meets() -> None:
    assert sources(3, "tournament") == {None, 0, 1, 2}
    assert sources(0, "tournament") == {None}
    assert sources(0, "tournament", costs={0: 1.0}) == {None}


def test_the_oldest_copy_whatever_they_are_worth() -> None:
    ages = {**AGES, 0: 30, 5: 20}
    assert None not in sources(0, "oldest", ages=ages)
    assert 0 not in sources(0, "oldest", ages=ages), "it copies another"
    assert 7 not in sources(5, "oldest", ages=ages), "the best of four that are drawn"
    assert sources(7, "oldest", ages=ages) == {None}


@pytest.mark.parametrize(("select", "count"), [("truncation", 2), ("tournament", 4), ("oldest", 4)])
def test_those_that_others_may_copy_lead(select: str, count: int) -> None:
    assert leading(COSTS, select=select, quantile=0.25) == set(range(count))
