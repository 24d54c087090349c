"""When a lost worker is replaced: counted by node, each for itself."""

from __future__ import annotations

import pytest

from sweep.errors import SweepError
from sweep.executors.ray.nodes import RayNode
from sweep.executors.ray.restarts import (
    MAX_RESTARTS_IN_A_ROW,
    MAX_STARTS_IN_A_ROW,
    DelayedStart,
    DelayedStarts,
    RestartPolicy,
)

NODES = {"a", "b"}


def lose(policy: RestartPolicy, node: str, often: int, *, had_turns: bool = False) -> list[bool]:
    return [policy.allows(node, "it broke", had_turns=had_turns, others=NODES) for _ in range(often)]


def test_a_node_whose_workers_crash_too_often_gets_no_more_while_another_may() -> None:
    policy = RestartPolicy()
    assert lose(policy, "a", MAX_STARTS_IN_A_ROW + 1) == [True] * MAX_STARTS_IN_A_ROW + [False]
    assert lose(policy, "b", MAX_STARTS_IN_A_ROW) == [True] * MAX_STARTS_IN_A_ROW
    with pytest.raises(SweepError, match=r"crashed 6 times in a row .* Last error: it broke\."):
        lose(policy, "b", 1)


def test_a_finished_turn_sets_its_nodes_count_back_and_no_others() -> None:
    policy = RestartPolicy()
    for node in NODES:
        lose(policy, node, MAX_RESTARTS_IN_A_ROW, had_turns=True)
    policy.turn_done("a")
    assert lose(policy, "a", 1, had_turns=True) == [True]
    assert lose(policy, "b", 1, had_turns=True) == [False]


def test_workers_that_were_given_turns_and_those_that_were_not_are_counted_apart() -> None:
    policy = RestartPolicy()
    lose(policy, "a", MAX_RESTARTS_IN_A_ROW, had_turns=True)
    assert lose(policy, "a", 1, had_turns=False) == [True]
    policy.forget_all()
    assert lose(policy, "a", 1, had_turns=True) == [True]


def test_a_start_waits_until_its_node_is_seen_alive_after_its_moment() -> None:
    node, gone = RayNode("a", "a", 1, 0.0), RayNode("b", "b", 1, 0.0)
    starts = DelayedStarts()
    starts.add(DelayedStart(5.0, node, 0))
    starts.add(DelayedStart(1.0, gone, 0))
    assert starts.due(4.0) == [1.0]
    assert starts.take(4.0, {"a"}) == []
    assert starts.take(5.0, {"a"}) == [DelayedStart(5.0, node, 0)]
    assert starts.take(9.0, {"a", "b"}) == []
