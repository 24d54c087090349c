"""Pruners' arguments as lengths, and what is said of a pruner that can do nothing."""

from __future__ import annotations

import pytest

from sweep.search.pruning import lengths, pruners
from sweep.search.pruning.reach import Reach, reach
from sweep.vocabulary.trial import Length
from tests.sweep.search.specs import with_pruner

LENGTH = Length(6000, 1000)
"""Six epochs of a thousand examples, a report after each."""


def reached(text: str, length: Length = LENGTH) -> Reach:
    spec = with_pruner(text)
    assert pruners.problems(spec) == []
    return reach(lengths.pruner_in_examples(spec, 1000), length)


def test_a_length_is_as_many_examples() -> None:
    accumulates = ("  accumulation_steps: {choices: [1, 2]}\n", "")
    text = "{name: median, n_warmup_steps: {epochs: 2}, interval_steps: {updates: 10}}"
    spec = with_pruner(text, accumulates)
    assert pruners.problems(spec) == []
    found = lengths.pruner_in_examples(spec, 1000).pruner
    assert found.arguments == {"n_warmup_steps": 2000, "interval_steps": 160}
    wrapped = with_pruner(
        "{name: patient, patience: 1, wrapped_pruner: {name: median, n_warmup_steps: {epochs: 2}}}"
    )
    inner = lengths.pruner_in_examples(wrapped, 1000).pruner.arguments["wrapped_pruner"]
    assert inner == {"name": "median", "n_warmup_steps": 2000}


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("{name: median, n_warmup_steps: {epoch: 2}}", "pruner.n_warmup_steps.epoch", "mean `epochs`"),
        ("{name: median, n_warmup_steps: {epochs: 0}}", "pruner.n_warmup_steps.epochs", "must be"),
        ("{name: hyperband, min_resource: {updates: 5}}", "pruner.min_resource", "epochs or examples"),
        ("{name: median, n_startup_trials: {epochs: 1}}", "pruner.n_startup_trials", "must be an integer"),
    ],
)  # fmt: skip
def test_a_wrong_length_is_named(text: str, key: str, words: str) -> None:
    problem = pruners.problems(with_pruner(text))[0]
    assert problem.key == key
    assert words in str(problem)


def test_a_function_has_no_epochs() -> None:
    task = [
        ("Line", "line"),
        ("micro_batch_size: 16, length: {epochs: 3}", "timeout: 1m"),
        ("lanes: 1\n", ""),
    ]
    (problem,) = pruners.problems(with_pruner("{name: median, n_warmup_steps: {epochs: 2}}", *task))
    assert problem.remedy == "give it in examples"
    assert not pruners.problems(with_pruner("{name: median, n_warmup_steps: {examples: 2}}", *task))


@pytest.mark.parametrize(
    ("text", "rungs"),
    [
        ("{name: successive_halving}", (1000, 4000)),
        ("{name: successive_halving, min_resource: {epochs: 2}, reduction_factor: 2}", (2000, 4000)),
        ("{name: median, n_startup_trials: 2}", None),
        ("{name: none}", None),
    ],
)
def test_rungs_before_a_trials_end(text: str, rungs: tuple[int, ...] | None) -> None:
    assert reached(text) == Reach(rungs, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: successive_halving, min_resource: {epochs: 6}}", "first rung is at 6000 examples"),
        ("{name: hyperband, max_resource: 27}", "max_resource is 27 examples, less than min_resource, 1000"),
        ("{name: median, n_warmup_steps: {epochs: 6}}", "n_warmup_steps is 6000 examples"),
        ("{name: median, n_startup_trials: 4}", "n_startup_trials is 4, and the budget 4 trials"),
        ("{name: patient, patience: 1, wrapped_pruner: {name: none}}", "write trial.patience"),
        ("{name: patient, patience: 5, wrapped_pruner: {name: median}}", "it needs 7 reports"),
    ],
)  # fmt: skip
def test_a_pruner_that_never_ends_a_trial_is_told(text: str, words: str) -> None:
    (note, *_) = reached(text).notes
    assert "can never end a trial: " in note
    assert words in note


def test_one_report_leaves_nothing_to_prune() -> None:
    (note,) = reached("{name: median}", Length(6000, 6000)).notes
    assert "a trial reports once, at its end" in note


def test_a_number_that_was_meant_as_epochs() -> None:
    (note,) = reached("{name: median, n_warmup_steps: 10, n_startup_trials: 2}").notes
    assert (
        "n_warmup_steps 10 is in examples, less than one report (1000). Write {epochs: 10} for epochs" in note
    )


@pytest.mark.parametrize("wrapped", ["", ", wrapped_pruner: null"])
def test_patience_alone_prunes_what_can_then_not_be_the_best(wrapped: str) -> None:
    (note,) = reached(f"{{name: patient, patience: 1{wrapped}}}").notes
    assert "ends trials as PRUNED, and those are never the best. trial.patience ends them COMPLETE" in note
