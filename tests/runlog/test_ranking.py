import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.ranking import Candidate, best, cost, front, fronts


def candidates(*values: tuple[float, ...]) -> list[Candidate]:
    return [Candidate(number, each) for number, each in enumerate(values)]


def numbers(trials: list[Candidate]) -> list[int]:
    return [trial.number for trial in trials]


def test_one_objective_either_way() -> None:
    trials = candidates((1.0,), (3.0,), (2.0,), (math.nan,), (3.0,))
    assert numbers(best(trials, ["maximize"])) == [1, 4, 2, 0]
    assert numbers(best(trials, ["minimize"])) == [0, 2, 1, 4]
    assert numbers(front(trials, ["maximize"])) == [1, 4]


def test_several_objectives_front_by_front() -> None:
    trials = candidates((1.0, 5.0), (2.0, 1.0), (0.5, 4.0), (3.0, 3.0), (1.0, 5.0))
    directions = ["maximize", "maximize"]
    assert [numbers(each) for each in fronts(trials, directions)] == [[0, 3, 4], [1, 2]]
    assert numbers(best(trials, directions)) == [0, 3, 4, 1, 2]
    assert numbers(front(trials, directions)) == [0, 3, 4]


def test_equals_stand_in_number_order_whatever_order_they_come_in() -> None:
    trials = candidates((1.0,), (1.0,), (0.0,))
    assert numbers(best(reversed(trials), ["minimize"])) == [2, 0, 1]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_value_that_is_not_finite_is_never_best(value: float, direction: str) -> None:
    assert numbers(best(candidates((value,), (0.5,)), [direction])) == [1]
    assert numbers(best(candidates((value, 0.0), (0.5, 0.0)), [direction] * 2)) == [1]


@pytest.mark.parametrize(
    "trial",
    [
        Candidate(0, (0.0,), state="PRUNED"),
        Candidate(0, (0.0,), state="FAIL"),
        Candidate(0, (0.0,), feasible=False),
        Candidate(0, None),
        Candidate(0, (0.0, 1.0)),
    ],
)
def test_what_is_not_ranked_has_no_cost(trial: Candidate) -> None:
    assert cost(trial, ["minimize"]) is None
    assert best([trial, Candidate(1, (9.0,))], ["minimize"]) == [Candidate(1, (9.0,))]


def test_without_objectives_nothing_is_ranked() -> None:
    assert best(candidates((1.0,)), []) == []


_PAIRS = st.lists(st.tuples(st.integers(0, 4).map(float), st.integers(0, 4).map(float)), max_size=12)


@pytest.mark.slow
@settings(deadline=None)
@given(_PAIRS)
def test_a_front_holds_exactly_those_that_nothing_left_dominates(pairs: list[tuple[float, float]]) -> None:
    rest = dict(enumerate(pairs))
    for found in fronts(candidates(*pairs), ["minimize", "minimize"]):
        undominated = [
            number
            for number, (a, b) in rest.items()
            if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in rest.values())
        ]
        assert numbers(found) == undominated
        rest = {number: pair for number, pair in rest.items() if number not in undominated}
    assert not rest
