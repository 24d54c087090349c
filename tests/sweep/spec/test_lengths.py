"""The length of a trial by one of its hyperparameters: `epochs`, `examples` or `updates`."""

from __future__ import annotations

import pytest

from sweep.spec.against_task import validate_against
from sweep.spec.parse import parse
from sweep.spec.plans import longest, plan
from sweep.vocabulary.trial import Length
from tests.sweep.spec.minimal import PLAIN, only, problems_in

STUDY = """\
name: lengths
task: task.py:T
objective: {metric: validation_accuracy, direction: maximize}
space:
  learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}
  epochs: {low: 2, high: 5}
trial: {micro_batch_size: 32}
budget: {trials: 4}
"""


def test_epochs_in_space_are_each_trials_length() -> None:
    spec = parse(STUDY, "study.yaml")
    assert validate_against(spec, PLAIN) == []
    size = PLAIN.train_examples
    assert plan(spec, PLAIN, 0, {"learning_rate": 0.1, "epochs": 3}).length == Length(3 * size, size)
    assert longest(spec, PLAIN) == Length(5 * size, size)


@pytest.mark.parametrize(("unit", "expected"), [("examples: 5000", 5000), ("updates: 100", 3200)])
def test_a_length_in_fixed_is_every_trials(unit: str, expected: int) -> None:
    text = STUDY.replace("  epochs: {low: 2, high: 5}\n", "") + f"fixed: {{{unit}}}\n"
    assert longest(parse(text, "study.yaml"), PLAIN).examples == expected


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("size: 32}", "size: 32, length: {epochs: 3}}", "space.epochs", "trial.length and space.epochs"),
        ("  epochs: {low: 2, high: 5}\n", "", "trial.length", "is missing. Add length: {epochs: 20}"),
        ("{low: 2, high: 5}", "{low: 0, high: 5}", "space.epochs.low", "must be a number in (0, 1000000000]"),
        ("epochs: {low: 2, high: 5}", "updates: {low: 1.0, high: 5.0}", "space.updates", "an integer from 1"),
        ("{low: 2, high: 5}", "{low: 2, high: 5, when: {learning_rate: 0.1}}", "space.epochs.when", "Remove"),
        ("{low: 2, high: 5}", "{choices: [3, many]}", "space.epochs.choices[1]", "must be a number"),
    ],
)
def test_a_length_is_given_once_and_in_its_unit(old: str, new: str, key: str, words: str) -> None:
    problem = problems_in(STUDY.replace(old, new))[0]
    assert str(problem.key).startswith(key)
    assert words in str(problem)


def test_the_shortest_trial_must_report() -> None:
    spec = parse(STUDY.replace("{low: 2, high: 5}", "{low: 0.5, high: 5.0}"), "study.yaml")
    problem = only(validate_against(spec, PLAIN))
    assert problem.key == "trial.report_every"
