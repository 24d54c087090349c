"""Hyperparameters that change while a trial trains: the plan that comes of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.spec.against_task import validate_against
from sweep.spec.parse import parse
from sweep.spec.plans import plan
from sweep.spec.resolve import resolved_text
from sweep.vocabulary.trial import Stretch
from tests.sweep.spec.minimal import MINIMAL, PLAIN, changed, only, problems_in

PIECES = "[{until: {epochs: 2}, values: {learning_rate: 0.03}, key: 5}, {until: {examples: 4311}}, {key: 7}]"


def text(pieces: str) -> str:
    return changed("  length: {epochs: 20}\n", f"  length: {{epochs: 20}}\n  piecewise: {pieces}\n")


def test_pieces_are_the_stretches_of_every_trial() -> None:
    made = plan(parse(text(PIECES), "study.yaml"), PLAIN, 3, {"learning_rate": 0.01})
    own = {"learning_rate": 0.01, "micro_batch_size": 32}
    assert made.stretches == (
        Stretch(2880, 5, {**own, "learning_rate": 0.03}),  # 2874 examples, in whole micro-batches
        Stretch(4320, 3, own),
        Stretch(28740, 7, own),
    )


def test_without_pieces_a_trial_has_its_own_key() -> None:
    made = plan(parse(MINIMAL, "study.yaml"), PLAIN, 3, {"learning_rate": 0.01})
    assert (made.past, made.key_number) == ((), None)


def test_they_are_written_and_read_again() -> None:
    spec = parse(text(PIECES), "study.yaml")
    assert parse(resolved_text(spec), "again.yaml") == spec


@pytest.mark.parametrize(
    ("pieces", "key", "what"),
    [
        ("[{key: 1}, {key: 2}]", "trial.piecewise[0]", "only the last piece"),
        ("[{until: {updates: 3}}]", "trial.piecewise[0].until", "in epochs or examples"),
        ("[{until: {epochs: 3}}, {until: {epochs: 2}}]", "trial.piecewise[1].until", "not after the piece"),
        ("[{values: {optimizer: sgd}}]", "trial.piecewise[0].values.optimizer", "same for a whole trial"),
        ("[{values: {gradient_clip: null}}]", "trial.piecewise[0].values.gradient_clip", "another program"),
        ("[{values: {learning_rate: -1.0}}]", "trial.piecewise[0].values.learning_rate", "above 0"),
        ("[{until: {epochs: 3}, rate: 2}]", "trial.piecewise[0].rate", "unknown key"),
    ],
)
def test_what_cannot_be_is_one_line(pieces: str, key: str, what: str) -> None:
    problem = only(problems_in(text(pieces)))
    assert problem.key == key
    assert what in problem.what


@pytest.mark.parametrize(
    ("pieces", "what"),
    [
        ("[{until: {epochs: 1.5}}]", "no multiple of it"),
        ("[{until: {epochs: 20}}]", "may end after 28740"),
        ("[{values: {rate: 1.0}}]", "read neither by"),
        ("[{values: {hidden: 1}}]", "same for a whole trial"),
        ("[{values: {weight: high}}]", "must be a number"),
        ("[{values: {gradient_clip: 1.0}}]", "off elsewhere"),
    ],
)
def test_what_only_the_task_can_tell(pieces: str, what: str) -> None:
    described = replace(PLAIN, static=("hidden",), dynamic=("weight",))
    with_hidden = text(pieces) + "fixed: {hidden: 64}\n"
    assert what in only(validate_against(parse(with_hidden, "study.yaml"), described)).what


def test_a_population_has_none_and_neither_have_extended_trials() -> None:
    assert "pbt" in only(problems_in(text(PIECES) + "sampler: {name: pbt}\n")).what
    extends = "extends: {run: runs/digits, trials: [0]}\nenqueue: [{learning_rate: 0.01}]\n"
    assert "keys of others" in only(problems_in(text(PIECES) + extends)).what
