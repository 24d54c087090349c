"""Which members copy which: from the values at one boundary, whoever has come so far."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runlog.lineage import Lineage
from sweep.search.pbt.decisions import Decided, Decisions, Standing
from sweep.spec.parse import parse
from tests.sweep.spec.minimal import MINIMAL, PLAIN

TEXT = MINIMAL + "sampler: {name: pbt, interval: {examples: 96}}\n"
DESCRIPTION = replace(PLAIN, train_examples=96)
EVERY = 96


def decisions(text: str = TEXT) -> Decisions:
    asked = {number: {"learning_rate": 0.001 * (number + 1), "hidden": 8} for number in range(32)}
    return Decisions(parse(text, "study.yaml"), DESCRIPTION, Lineage(asked.__getitem__))


def decide(found: Decisions, values: dict[int, float], examples: int = EVERY) -> Decided:
    return found.decide([Standing(number, examples, value) for number, value in values.items()])


def test_the_worst_quarter_copies_the_best() -> None:
    decided = decide(decisions(), {number: float(number) for number in range(8)})
    assert [change.trial for change in decided.changes] == [0, 1]
    assert {change.source for change in decided.changes} <= {6, 7}
    assert decided.leading == {6, 7}
    assert decided.judged == tuple((number, EVERY) for number in range(8))


def test_a_minimum_is_looked_for_where_the_study_says_so() -> None:
    text = TEXT.replace("maximize", "minimize")
    decided = decide(decisions(text), {number: float(number) for number in range(8)})
    assert [change.trial for change in decided.changes] == [6, 7]


def test_no_member_is_waited_for_and_few_are_too_few() -> None:
    found = decisions()
    assert decide(found, {0: 0.5, 1: 0.6, 2: 0.7}).changes == ()
    assert [change.trial for change in decide(found, {3: 0.1}).changes] == [3]
    assert decide(found, {4: 0.2}).changes == ()  # 3 is worse


def test_values_at_another_boundary_are_not_compared() -> None:
    found = decisions()
    decide(found, {number: 1.0 for number in range(8)}, 2 * EVERY)
    assert decide(found, {8: 0.0}).changes == ()


def test_a_report_between_two_boundaries_decides_nothing() -> None:
    assert decide(decisions(), {number: float(number) for number in range(8)}, 48).judged == ()


def test_a_value_that_is_not_a_number_is_the_worst() -> None:
    values = {0: float("nan"), 1: 0.0, 2: 1.0, 3: 2.0}
    assert [change.trial for change in decide(decisions(), values).changes] == [0]


def test_what_is_decided_follows_from_the_values_alone() -> None:
    values = {number: float(number % 5) for number in range(12)}
    assert decide(decisions(), values) == decide(decisions(), dict(reversed(values.items())))


def test_a_member_explores_from_its_source_and_stays_in_the_space() -> None:
    found = decisions()
    (change, *_) = decide(found, {number: float(number) for number in range(8)}).changes
    assert change.before["learning_rate"] == pytest.approx(0.001 * (change.trial + 1))
    assert 1e-4 <= change.after["learning_rate"] <= 1e-1
    assert change.after["hidden"] == 8
    assert change.seen == 96 // 32 * 32


def test_the_micro_batch_that_reaches_a_boundary_may_go_beyond() -> None:
    text = TEXT.replace("96", "100")
    decided = decide(decisions(text), {number: float(number) for number in range(8)}, 100)
    assert {change.seen for change in decided.changes} == {128}


def test_the_oldest_are_those_that_copied_longest_ago() -> None:
    found = decisions(TEXT.replace("pbt,", "pbt, select: oldest,"))
    first = decide(found, {number: float(number) for number in range(8)})
    assert [change.trial for change in first.changes] == [0, 1], "of equal age the worse ones"
    second = decide(found, {number: float(number) for number in range(8)}, 2 * EVERY)
    assert [change.trial for change in second.changes] == [2, 3]


def test_by_pb2_the_numbers_of_copied_members_follow_what_intervals_brought() -> None:
    """Members with high rates become better by far: from the second boundary on copies have high ones."""
    found = decisions(TEXT.replace("pbt,", "pbt, explore: pb2,"))
    rates = {number: 10 ** (-4 + 3 * number / 15) for number in range(16)}
    found.lineage.asked = lambda number: {"learning_rate": rates[number]}
    values = {number: 1.0 + number / 100 for number in range(16)}
    assert decide(found, values).changes != ()
    gained = {number: value + (10.0 if number >= 12 else 0.0) for number, value in values.items()}
    after = [change.after["learning_rate"] for change in decide(found, gained, 2 * EVERY).changes]
    assert after != []
    assert all(isinstance(each, float) and 1e-4 <= each <= 1e-1 for each in after)
    assert sorted(after)[len(after) // 2] > 0.01
