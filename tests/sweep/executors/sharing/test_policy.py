"""Which study may hold how many slots: examples, and what holds for all."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.executors.sharing.policy import Claim, allot

FOUR = {"a": 2, "b": 2}
ALL = frozenset(FOUR)


def counts(slots: dict[str, int], *claims: Claim) -> dict[str, int]:
    return {study: sum(given.values()) for study, given in allot(slots, claims).items()}


def claim(study: str, **more: object) -> Claim:
    return Claim(study, **{"nodes": ALL, "since": float(ord(study[0])), **more})  # type: ignore[arg-type]


def test_studies_share_by_weight() -> None:
    assert counts(FOUR, claim("x"), claim("y"), claim("z", weight=2.0)) == {"x": 1, "y": 1, "z": 2}
    assert counts(FOUR, claim("x"), claim("y", weight=3.0)) == {"x": 1, "y": 3}
    assert counts(FOUR, claim("x"), claim("y")) == {"x": 2, "y": 2}


def test_of_equals_the_first_to_come_has_the_odd_slot() -> None:
    assert counts({"a": 3}, claim("y", since=0.0), claim("x", since=1.0)) == {"y": 2, "x": 1}


def test_a_higher_priority_has_all_but_one_slot_of_each_other() -> None:
    assert counts(FOUR, claim("x"), claim("y"), claim("z", priority=1)) == {"x": 1, "y": 1, "z": 2}
    assert counts({"a": 1}, claim("x"), claim("z", priority=1)) == {"x": 0, "z": 1}


def test_what_one_study_has_no_use_for_goes_to_others() -> None:
    assert counts(FOUR, claim("x", wants=1), claim("y")) == {"x": 1, "y": 3}
    assert counts(FOUR, claim("x"), claim("y", priority=5, max_slots=1)) == {"x": 3, "y": 1}
    assert counts(FOUR, claim("x", wants=0), claim("y")) == {"x": 0, "y": 4}


def test_a_study_that_can_use_one_node_only_has_its_share_there() -> None:
    held = claim("x", held={"a": 2, "b": 2})
    assert allot(FOUR, [held, claim("y", nodes=frozenset("b"))]) == {"x": {"a": 2}, "y": {"b": 2}}


def test_slots_stay_where_they_are() -> None:
    x, y = claim("x", held={"a": 1, "b": 2}), claim("y", held={"a": 1})
    assert allot(FOUR, [x, y]) == {"x": {"b": 2}, "y": {"a": 2}}


def test_of_what_a_study_has_no_work_for_the_idle_slots_go() -> None:
    held = {"a": 1, "b": 2}
    assert allot(FOUR, [claim("x", held=held, wants=2, idle={"a": 1})]) == {"x": {"b": 2}}
    assert allot(FOUR, [claim("x", held=held, wants=2, idle={"b": 1})]) == {"x": {"a": 1, "b": 1}}
    assert allot(FOUR, [claim("x", held=held, wants=3, idle={"b": 1})]) == {"x": held}, "work is on its way"
    with_another = [claim("x", held=held, wants=2, idle={"b": 1}), claim("y")]
    assert allot(FOUR, with_another) == {"x": {"a": 1, "b": 1}, "y": {"a": 1, "b": 1}}


def test_a_study_moves_to_another_node_for_one_that_has_no_choice() -> None:
    only_a = claim("y", nodes=frozenset("a"), priority=1)
    assert allot({"a": 1, "b": 1}, [claim("x", held={"a": 1}), only_a]) == {"x": {"b": 1}, "y": {"a": 1}}


NODES = ("a", "b", "c")

SLOTS = st.fixed_dictionaries({node: st.integers(0, 3) for node in NODES})

CLAIMS = st.lists(
    st.builds(
        Claim,
        study=st.just("x"),
        nodes=st.frozensets(st.sampled_from(NODES)),
        wants=st.sampled_from((0, 1, 2, 5, float("inf"))),
        held=st.dictionaries(st.sampled_from(NODES), st.integers(0, 3)),
        idle=st.dictionaries(st.sampled_from(NODES), st.integers(0, 3)),
        priority=st.integers(0, 2),
        weight=st.sampled_from((0.5, 1.0, 2.0, 3.0)),
        max_slots=st.sampled_from((None, None, 1, 2)),
        since=st.integers(0, 3).map(float),
    ),
    max_size=5,
).map(lambda claims: [replace(each, study=f"study-{index}") for index, each in enumerate(claims)])


def is_possible(slots: dict[str, int], claims: list[Claim], wanted: dict[str, int]) -> bool:
    """Whether so many slots can be placed at once (Hall's condition, over all sets of studies)."""
    for size in range(1, len(claims) + 1):
        for some in combinations(claims, size):
            nodes = frozenset().union(*(each.nodes for each in some))
            if sum(wanted[each.study] for each in some) > sum(slots[node] for node in nodes):
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(SLOTS, CLAIMS)
def test_what_holds_for_all(slots: dict[str, int], claims: list[Claim]) -> None:
    found = allot(slots, claims)
    assert found.keys() == {each.study for each in claims}
    for node in NODES:
        assert sum(each.get(node, 0) for each in found.values()) <= slots[node]
    total = {study: sum(given.values()) for study, given in found.items()}
    for each in claims:
        assert set(found[each.study]) <= each.nodes
        assert total[each.study] <= each.most
    assert allot(slots, reversed(claims)) == found, "it depends on no order"
    has_one = [each for each in claims if each.most >= 1]
    for each in claims:
        more = {**total, each.study: total[each.study] + 1}
        if total[each.study] + 1 <= each.most:
            assert not is_possible(slots, claims, more), "no slot is left that a study could have"
    for poor in claims:
        for rich in claims:
            if poor.priority < rich.priority or total[rich.study] < 2 or total[poor.study] + 1 > poor.most:
                continue
            less = {**total, poor.study: total[poor.study] + 1, rich.study: total[rich.study] - 1}
            if not is_possible(slots, claims, less):
                continue
            assert total[poor.study] >= 1, "each has one slot before any has two"
            if poor.priority > rich.priority:
                assert total[rich.study] <= 1
            else:
                gains = (total[poor.study] + 1) / poor.weight
                assert gains >= total[rich.study] / rich.weight, "the next slot goes to the poorest"
    assert len(has_one) >= sum(count > 0 for count in total.values())


@settings(max_examples=200, deadline=None)
@given(SLOTS, CLAIMS)
def test_it_settles_at_once(slots: dict[str, int], claims: list[Claim]) -> None:
    """Once each study holds what it may, nothing moves any more."""
    found = allot(slots, claims)
    settled = [replace(each, held=found[each.study]) for each in claims]
    assert allot(slots, settled) == found
