"""What a program would see as another value than the study file says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.spec.against_task import validate_against
from sweep.spec.parse import parse
from tests.sweep.spec.minimal import MINIMAL, PLAIN, only, with_space

READS = replace(PLAIN, dynamic=("a",))


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("a: {choices: [1, 2847683907]}", "space.a.choices[1]"),
        ("a: {low: 0, high: 16777217}", "space.a.high"),
        ("a: {low: -33554432, high: 1}", "space.a.low"),
        ("a: {low: 1.0, high: 1.0e39}", "space.a.high"),
        ("learning_rate: {low: 1.0e-60, high: 1.0e-1}", "space.learning_rate.low"),
    ],
)
def test_a_dynamic_number_that_float32_does_not_hold_is_refused(entry: str, key: str) -> None:
    text = with_space(entry) if entry.startswith("a") else MINIMAL.replace("low: 1e-4", "low: 1.0e-60")
    problem = only(validate_against(parse(text, "study.yaml"), READS))
    assert problem.key == key
    assert "float32" in str(problem)


@pytest.mark.parametrize(
    "entry", ["a: {choices: [1, 33554432]}", "a: {low: 0, high: 16777216}", "a: {low: 0.0, high: 1.0e9}"]
)
def test_what_float32_holds_is_accepted(entry: str) -> None:
    assert validate_against(parse(with_space(entry), "study.yaml"), READS) == []


def test_a_static_integer_may_be_any() -> None:
    text = with_space("a: {choices: [1, 2847683907]}")
    assert validate_against(parse(text, "study.yaml"), replace(PLAIN, static=(*PLAIN.static, "a"))) == []


def test_a_metric_that_is_reported_on_request_says_what_to_do_for_it() -> None:
    described = replace(READS, on_request={"validation_exact_match": "Add generation_metrics"})
    for metric, hint in (
        ("validation_exact_match", "Add generation_metrics"),
        ("validation_los", "`validation_loss`"),
    ):
        text = MINIMAL.replace("metric: validation_accuracy", f"metric: {metric}")
        problem = only(validate_against(parse(text, "study.yaml"), described))
        assert f"the task does not report `{metric}`" in str(problem)
        assert hint in str(problem)


def test_what_a_factor_of_a_group_names_is_read() -> None:
    entries = "less: {low: 0.0, high: 1.0}\ndecay_factors: {choices: [null, {'*.bias': less}]}"
    assert validate_against(parse(with_space(entries), "study.yaml"), PLAIN) == []
    other = parse(with_space(entries.replace("': less", "': lesss")), "study.yaml")
    assert "`less` is read neither" in str(only(validate_against(other, PLAIN)))
