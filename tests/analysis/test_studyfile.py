"""A trial's point as a study file of its own, whatever its study's space was edited to."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.studyfile import StudyFile
from configfile.yamlfile import dump
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved, with_fixed
from tests.sweep.spec.minimal import spec_of

CHOICES = ("a: {choices: [1, 2]}",)
RANGE = (*CHOICES, "c: {low: 0.0, high: 1.0}")


@pytest.mark.parametrize(
    ("space", "fixed", "params", "had"),
    [
        (RANGE, {}, {"a": 1}, {"a": 1, "c": 0.5}),  # c was fixed, and is searched now
        (CHOICES, {"c": 0.9}, {"a": 1}, {"a": 1, "c": 0.5}),  # and is fixed elsewhere
        (CHOICES, {"c": 0.9}, {"a": 1, "c": 0.3}, {"a": 1, "c": 0.3}),
        (CHOICES, {"c": 0.9}, {"a": 1}, {"a": 1}),  # of before there was a c
        (CHOICES, {"c": 0.9}, {"a": 2}, {"a": 2, "c": 0.9}),
    ],
)
def test_the_file_trains_what_the_trial_had(
    space: tuple[str, ...], fixed: dict[str, Any], params: dict[str, Any], had: dict[str, Any]
) -> None:
    values = resolved(spec_of(*space).model_copy(update={"fixed": fixed}))
    text = StudyFile(values, dump(values)).with_point(params, had)
    alone = parse(text, "best.yaml")
    found = with_fixed(alone, alone.enqueue[0])
    del found["micro_batch_size"]
    assert found == had
