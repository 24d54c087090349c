"""The programs that a study needs, each counted once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.spec.plans import MAX_PROGRAMS, programs
from tests.sweep.spec.minimal import PLAIN, spec_of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "static", "count"),
    [
        (["a: {choices: [1, 2, 3]}", "b: {low: 1, high: 4}"], ("a", "b"), 12),
        (["a: {choices: [1, 2, 3]}", "b: {low: 1, high: 4}"], ("a",), 3),
        (["a: {low: 0.0, high: 0.5, step: 0.1}"], ("a",), 6),
        (["a: {low: 0.0, high: 0.5}"], ("a",), MAX_PROGRAMS),
        (["a: {choices: [x, y]}", "b: {low: 1, high: 9, when: {a: x}}"], ("a", "b"), 10),
        (["a: {low: 0.0, high: 1.0}", "b: {choices: [1, 2], when: {a: {low: 0.5}}}"], ("b",), 3),
        (["gradient_clip: {choices: [null, 0.5, 1.0]}"], (), 2),
        (["gradient_clip: {low: 0.5, high: 1.0}"], (), 1),
        (["a: {low: 1, high: 100000}", "b: {low: 1, high: 100000}"], ("a", "b"), MAX_PROGRAMS),
    ],
)
def test_the_number_of_programs(entries: list[str], static: tuple[str, ...], count: int) -> None:
    spec = spec_of(*entries)
    assert len(programs(spec, replace(PLAIN, static=static))) == count
