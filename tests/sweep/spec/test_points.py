"""How many points a finite space has, and which are left."""

from __future__ import annotations

from itertools import product

import pytest

from sweep.spec.points import Points
from sweep.vocabulary.trial import Scalar
from tests.sweep.spec.minimal import spec_of


@pytest.mark.parametrize(
    ("entries", "total"),
    [
        (["a: {choices: [1, 2, 3]}", "b: {low: 1, high: 9, step: 4}"], 9),
        (["a: {low: 0.0, high: 0.3, step: 0.1}"], 4),
        (["a: {low: 0.0, high: 1.0}", "b: {choices: [1]}"], None),
        (["a: {choices: [x, y]}", "b: {choices: [1, 2, 3], when: {a: x}}"], 4),
        (["a: {low: 1, high: 4}", "b: {choices: [1, 2], when: {a: {low: 3}}}", "c: {choices: [1, 2]}"], 12),
        (
            [
                "a: {choices: [1, 2]}",
                "b: {choices: [1, 2], when: {a: 1}}",
                "c: {low: 1, high: 5, when: {b: 2}}",
            ],
            7,
        ),
        (["a: {low: 1, high: 9007199254740992}", "b: {low: 1, high: 9007199254740992}"], 2**106),
    ],
)
def test_the_number_of_points(entries: list[str], total: int | None) -> None:
    assert Points(spec_of(*entries)).total == total


def test_a_point_is_left_until_it_was_entered_and_a_beginning_until_all_of_it_were() -> None:
    points = Points(spec_of("a: {choices: [true, x]}", "b: {low: 0.0, high: 0.3, step: 0.1}"))
    choices: list[Scalar] = [True, "x"]
    for place, (a, b) in enumerate(product(choices, [0.0, 0.1, 0.2, 0.30000000000000004])):
        assert points.tried == place
        assert points.is_left({"a": a, "b": b})
        points.enter({"a": a, "b": b})
        points.enter({"a": a, "b": b})
        assert not points.is_left({"a": a, "b": b})
        assert points.is_left({"a": a}) == (b < 0.25)
    assert points.tried == points.total == 8
    assert not points.is_left({})
