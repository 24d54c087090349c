"""Curves thinned to what a page can hold, and what is said of that."""

from __future__ import annotations

import math

import pytest

from analysis.page import curves as held
from analysis.page.curves import Curves, thinned
from analysis.page.script import as_script


@pytest.mark.parametrize("most", [3, 4, 10, 99, 100, 200])
def test_a_line_keeps_its_ends_and_its_order(most: int) -> None:
    points = [(examples, math.sin(examples / 7)) for examples in range(100)]
    xs, ys = thinned(points, most)
    assert len(xs) == min(most, 100)
    assert (xs[0], xs[-1]) == (0, 99)
    assert xs == sorted(set(xs))
    assert all(points[x][1] == y for x, y in zip(xs, ys, strict=True))


def test_a_line_keeps_what_stands_out() -> None:
    points = [(examples, 5.0 if examples == 41 else 0.0) for examples in range(100)]
    assert 41 in thinned(points, 8)[0]


def test_replicates_are_drawn_as_their_mean_and_what_is_not_finite_is_left_out() -> None:
    curves = Curves()
    assert curves.add(3, 100, {"loss": 1.0, "other": math.nan}) == {"loss": 1.0}
    assert curves.add(3, 100, {"loss": 2.0}) == {"loss": 1.5}
    assert curves.of(3) == {"loss": [[100], [1.5]]}


def test_a_large_study_is_thinned_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MOST_POINTS", 400)
    monkeypatch.setattr(held, "MOST_OTHERS", 200)
    curves = Curves()
    for trial in range(50):
        for examples in range(40):
            curves.add(trial, examples, {"loss": 1 / (examples + 1), "accuracy": 0.5})
    packed, said = curves.packed("loss", range(49, -1, -1))
    assert len(packed["loss"][0][0]) == 8
    assert len(packed["loss"][49][0]) == 40  # of the best trials all are held
    assert list(packed["accuracy"]) == [49, 48, 47, 46, 45]
    assert said[0].startswith("Each line goes through at most 8 of its trial's reports")
    assert said[1] == "Other metrics are here of the 5 best trials only."


def test_a_small_study_is_whole() -> None:
    curves = Curves()
    curves.add(0, 1, {"loss": 1.0, "accuracy": 0.5})
    packed, said = curves.packed("loss", [0])
    assert packed == {"loss": {0: [[1], [1.0]]}, "accuracy": {0: [[1], [0.5]]}}
    assert said == []


def test_no_text_of_a_run_ends_the_script_that_holds_it() -> None:
    assert "<" not in as_script({"reason": "</script><img src=x onerror=alert(1)>"})
