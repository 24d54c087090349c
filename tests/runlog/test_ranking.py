import math

from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.ranking import best_first, fronts


def test_one_objective_either_way() -> None:
    values = {0: (1.0,), 1: (3.0,), 2: (2.0,), 3: (math.nan,), 4: (3.0,)}
    assert best_first(values, ["maximize"]) == [1, 4, 2, 0]
    assert best_first(values, ["minimize"]) == [0, 2, 1, 4]


def test_several_objectives_front_by_front() -> None:
    values = {0: (1.0, 5.0), 1: (2.0, 1.0), 2: (0.5, 4.0), 3: (3.0, 3.0), 4: (1.0, 5.0)}
    assert list(fronts(values, ["maximize", "maximize"])) == [[0, 3, 4], [1, 2]]
    assert best_first(values, ["maximize", "maximize"]) == [0, 3, 4, 1, 2]


_PAIRS = st.lists(st.tuples(st.integers(0, 4).map(float), st.integers(0, 4).map(float)), max_size=12)


@settings(deadline=None)
@given(_PAIRS)
def test_a_front_holds_exactly_those_that_nothing_left_dominates(pairs: list[tuple[float, float]]) -> None:
    rest = dict(enumerate(pairs))
    for front in fronts(rest, ["minimize", "minimize"]):
        undominated = [
            number
            for number, (a, b) in rest.items()
            if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in rest.values())
        ]
        assert front == undominated
        rest = {number: pair for number, pair in rest.items() if number not in front}
    assert not rest
