"""What TPE proposes: the same alone and in company, from the same history, and where it is left to Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweep.search.samplers import make, quietly
from sweep.search.study import Study
from sweep.search.tpe.exact import ExactTPESampler
from sweep.search.tpe.sampler import TPESampler
from sweep.spec.schema import Objective, StudySpec
from sweep.vocabulary.trial import Length, Outcome, Scalar, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

ENTRIES = (
    "rate: {low: 1.0e-4, high: 1.0, log: true}",
    "width: {low: 8, high: 64, step: 8}",
    "kind: {choices: [a, b, c]}",
    "optimizer: {choices: [sgd, adamw]}",
    "momentum: {low: 0.0, high: 0.99, when: {optimizer: sgd}}",
    "nesterov: {choices: [true, false], when: {momentum: {low: 0.5}}}",
)
"""Choices, steps and conditions; one of them asks for another one that is conditional itself."""


def spec(*entries: str, **arguments: object) -> StudySpec:
    return with_sampler(spec_of(*(entries or ENTRIES)), "tpe", **arguments)


def value(params: Mapping[str, Scalar]) -> float:
    return sum(float(each) if isinstance(each, int | float) else len(str(each)) for each in params.values())


def tell(study: Study, number: int, params: Mapping[str, Scalar]) -> None:
    """Some fail, and some diverge."""
    if number % 11 == 3:
        study.tell(Outcome(number, TrialState.FAIL, None, reason="broken"))
    elif number % 11 == 7 and number > 30:
        study.tell(Outcome(number, TrialState.FAIL, None, diverged=True))
    else:
        study.tell(Outcome(number, TrialState.COMPLETE, (value(params),)))


def proposed(study: Study, *, trials: int, together: int, lag: int) -> list[Mapping[str, Scalar]]:
    """All proposals; so many are asked for at once, once all but `lag` of those before were told."""
    asked: list[Mapping[str, Scalar]] = []
    told = 0
    while len(asked) < trials:
        group: list[Mapping[str, Scalar]] = []
        while len(group) < 8:
            group += [each.params for each in study.ask(together)]
        asked += group
        while told < len(asked) - lag:
            tell(study, told, asked[told])
            told += 1
    return asked


@pytest.mark.parametrize("arguments", [{}, {"constant_liar": False}, {"multivariate": False}])
def test_a_trial_is_proposed_the_same_alone_and_in_company(arguments: dict[str, bool]) -> None:
    studies = [Study(spec(**arguments), None, Length(100, 10)) for _ in range(2)]
    alone, together = (
        proposed(study, trials=80, together=count, lag=4)
        for study, count in zip(studies, (1, 8), strict=True)
    )
    assert alone == together
    assert [list(each) for each in alone] == [list(each) for each in together]
    assert len({tuple(each.items()) for each in alone}) > 70


def test_a_resumed_study_proposes_what_it_would_have(tmp_path: Path) -> None:
    whole = proposed(Study(spec(), None, Length(100, 10)), trials=64, together=8, lag=3)
    study = Study(spec(), tmp_path / "journal", Length(100, 10))
    proposed(study, trials=40, together=4, lag=3)
    study.storage.commit()
    study.storage.close()
    resumed = Study(spec(), tmp_path / "journal", Length(100, 10))
    running = resumed.running({})
    assert [each.number for each in running] == [37, 38, 39]
    assert [each.params for each in running] == whole[37:40]
    assert [each.params for each in resumed.ask(8)] == whole[40:48]


def test_optuna_reads_what_was_proposed_together(tmp_path: Path) -> None:
    study = Study(spec(), tmp_path / "journal", Length(100, 10))
    asked = proposed(study, trials=32, together=8, lag=2)
    study.storage.commit()
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    read = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert [each.params for each in read.trials] == asked
    assert [each.state.name for each in read.trials[-3:]] == ["COMPLETE", "RUNNING", "RUNNING"]
    assert all(each.datetime_start is not None for each in read.trials)


def test_seeds_differ_and_single_values_are_given() -> None:
    entries = ("x: {low: 0.0, high: 1.0}", "only: {choices: [1]}")
    for_seed = [
        proposed(Study(spec(*entries).model_copy(update={"seed": seed}), None, Length(100, 10)),
                 trials=24, together=8, lag=0)
        for seed in (1, 2)
    ]  # fmt: skip
    assert for_seed[0] != for_seed[1]
    assert {each["only"] for each in for_seed[0]} == {1}


def test_the_best_values_are_found() -> None:
    study = Study(spec("rate: {low: 1.0e-4, high: 1.0, log: true}", *ENTRIES[2:4]), None, Length(100, 10))
    asked = proposed(study, trials=120, together=8, lag=8)
    rates = sorted(float(str(each["rate"])) for each in asked[80:])
    assert rates[len(rates) // 2] > 0.2  # the objective is maximised, and half of all rates are below 0.01
    assert [each["optimizer"] for each in asked[80:]].count("adamw") > 25


LEFT_TO_OPTUNA: tuple[dict[str, Any], ...] = (
    {"exact": True},
    {"group": True},
    {"prior_weight": 2.0},
    {"consider_magic_clip": False},
)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("arguments", LEFT_TO_OPTUNA)
def test_what_is_not_covered_is_proposed_as_optuna_does(arguments: dict[str, Any]) -> None:
    sampler = make(spec(**arguments))
    assert isinstance(sampler, TPESampler)
    with quietly():
        exact = ExactTPESampler(seed=0, **{name: each for name, each in arguments.items() if name != "exact"})
    seen = []
    for each in (sampler, exact):
        study = optuna.create_study(sampler=each)
        study.optimize(
            lambda trial: trial.suggest_float("x", 0, 1) ** trial.suggest_int("n", 1, 5), n_trials=25
        )
        seen.append([trial.params for trial in study.trials])
    assert seen[0] == seen[1]


def test_several_objectives_are_left_to_optuna() -> None:
    two = tuple(Objective(metric=name, direction="minimize") for name in ("one", "two"))
    seen = []
    for arguments in ({}, {"exact": True}):
        study = Study(spec(**arguments).model_copy(update={"objective": two}), None, Length(100, 10))
        for number in range(20):
            (proposal,) = study.ask(1)
            study.tell(Outcome(number, TrialState.COMPLETE, (value(proposal.params), 1.0)))
        seen.append(study.ask(1)[0].params)
    assert seen[0] == seen[1]


def test_a_point_that_is_asked_for_comes_before_what_is_proposed_together() -> None:
    study = Study(spec(), None, Length(100, 10))
    proposed(study, trials=24, together=8, lag=0)
    study.enqueue("one", {"width": 24, "kind": "c"})
    first, *others = study.ask(8)
    assert (first.params["width"], first.params["kind"], first.enqueued) == (24, "c", "one")
    assert [each.number for each in (first, *others)] == list(range(24, 32))
