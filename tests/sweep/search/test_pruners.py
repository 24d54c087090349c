"""Pruners from the study file: each runs to the end, with several objectives and over replicates too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import pytest

import analysis
from sweep.api.run import Summary, run_study
from sweep.driver.monitor.progress import Quiet
from sweep.search.pruning import adapters, pruners
from sweep.search.study import Study
from sweep.spec.parse import load
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.conftest import Folder
from tests.sweep.search.specs import with_pruner

HARD = (
    ("trials: 4}", "trials: 12}"),
    ("epochs: 3", "epochs: 6"),
    ("high: 1.0e-1", "high: 3.0"),
    ("lanes: 1", "lanes: 4"),
)


pytestmark = pytest.mark.usefixtures("uncompiled")


def run(folder: Folder, pruner: str, *changes: tuple[str, str]) -> Summary:
    folder.write(("{name: random}", f"{{name: random}}\npruner: {pruner}"), *HARD, *changes)
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


@pytest.mark.slow
@pytest.mark.parametrize(
    "pruner",
    [
        "{name: percentile, percentile: 50.0, n_startup_trials: 2}",
        "{name: threshold, upper: 0.5}",
        "{name: patient, patience: 1, wrapped_pruner: {name: median, n_startup_trials: 2}}",
        "{name: optuna.pruners:SuccessiveHalvingPruner, reduction_factor: 2}",
    ],
)
def test_each_pruner_ends_trials_early_and_the_study_ends(folder: Folder, pruner: str) -> None:
    summary = run(folder, pruner)
    assert summary.counts["PRUNED"] > 0
    assert sum(summary.counts.values()) == 12


@pytest.mark.slow
def test_the_wilcoxon_pruner_compares_replicates_with_those_of_the_best_trial(folder: Folder) -> None:
    pytest.importorskip("scipy", reason="pip install 'sweep-mlx[samplers]'")
    summary = run(folder, "{name: wilcoxon}", ("epochs: 6}", "epochs: 3}, replicates: 4"))
    assert summary.counts["PRUNED"] > 0
    assert sum(summary.counts.values()) == 12


def test_resources_are_in_examples_and_can_be_given() -> None:
    length = Length(1000, 100)
    ours = pruners.make(with_pruner("{name: hyperband, reduction_factor: 2}"), length)
    assert isinstance(ours, optuna.pruners.HyperbandPruner)
    assert (ours._min_resource, ours._max_resource, ours._reduction_factor) == (100, 1000, 2)
    given = pruners.make(with_pruner("{name: successive_halving, min_resource: 300}"), length)
    assert isinstance(given, optuna.pruners.SuccessiveHalvingPruner)
    assert given._min_resource == 300


WRONG = [
    ("{name: median, n_startup: 2}", "pruner.n_startup", "Did you mean `n_startup_trials`?"),
    ("{name: percentile}", "pruner.percentile", "PercentilePruner needs it"),
    ("{name: hyperband, reduction_factor: 2.5}", "pruner.reduction_factor", "must be an integer"),
    ("{name: threshold}", "pruner", "lower"),
    ("{name: patient, patience: 2, wrapped_pruner: median}", "pruner.wrapped_pruner", "{name: median}"),
    (
        "{name: patient, patience: 2, wrapped_pruner: {name: median, metric: a}}",
        "pruner.wrapped_pruner.metric",
        "MedianPruner has no argument `metric`",
    ),
    ("{name: patient, patience: 2, wrapped_pruner: {name: x}}", "pruner.wrapped_pruner.name", "one of none"),
    ("{name: patient, patience: 2, wrapped_pruner: {name: wilcoxon}}", "pruner.wrapped_pruner.name", "alone"),
    ("{name: wilcoxon}", "trial.replicates", "must be at least 4"),
    ("{name: optuna.samplers:TPESampler}", "pruner.name", "no subclass of optuna's BasePruner"),
]


@pytest.mark.parametrize(("text", "key", "words"), WRONG)
def test_a_wrong_pruner_is_named_with_line_and_remedy(text: str, key: str, words: str) -> None:
    spec = with_pruner(text)
    (problem,) = pruners.problems(spec)
    assert problem.key == key
    section = key.split(".")[0]
    assert problem.line == spec.document.line((section,))
    assert words in str(problem)


TWO = "[{metric: validation_loss, direction: minimize}, {metric: train_loss, direction: minimize}]"


@pytest.mark.slow
def test_several_objectives_are_pruned_on_the_named_metric_and_optuna_hears_of_no_step(
    folder: Folder,
) -> None:
    summary = run(
        folder,
        "{name: successive_halving, reduction_factor: 2, metric: validation_loss}",
        ("{metric: validation_loss, direction: minimize}", TWO),
    )
    assert summary.counts["PRUNED"] > 0
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    )
    theirs = optuna.load_study(study_name="line", storage=storage)
    assert not any(trial.intermediate_values for trial in theirs.trials)
    assert {"values_validation_loss", "values_train_loss"} <= set(analysis.load(folder.run_dir).trials)


def verdicts(study: Study, costs: Sequence[float]) -> list[bool]:
    """Trials one after another, each reporting its cost at every boundary; who would be pruned first."""
    found = []
    for proposal, cost in zip(study.ask(len(costs)), costs, strict=True):
        for examples in (100, 200, 300):
            study.report(proposal.number, (examples, (cost,)))
        found.append(study.should_prune(proposal.number, 300))
        study.tell(Outcome(proposal.number, TrialState.COMPLETE, (cost, 0.0)))
    return found


def test_a_view_built_again_on_resume_judges_as_the_first_one(tmp_path: Any) -> None:
    two = ("{metric: validation_loss, direction: minimize}", TWO)
    pruner = "{name: successive_halving, metric: validation_loss, reduction_factor: 2}"
    spec = with_pruner(pruner, two)
    length = Length(1000, 100)
    whole = Study(spec, tmp_path / "whole.journal", length)
    expected = verdicts(whole, [1.0, 2.0, 3.0, 0.5])
    again = Study(spec, tmp_path / "again.journal", length)
    first = verdicts(again, [1.0, 2.0])
    again.storage.commit()
    again.storage.close()
    resumed = Study(spec, tmp_path / "again.journal", length)
    for number, cost in enumerate([1.0, 2.0]):
        rows = [(examples, (cost,)) for examples in (100, 200, 300)]
        resumed.follow(number, rows, Outcome(number, TrialState.COMPLETE, (cost, 0.0)))
    assert first + verdicts(resumed, [3.0, 0.5]) == expected
    assert True in expected


@pytest.mark.parametrize(("direction", "worse"), [("minimize", 2.0), ("maximize", 0.5)])
def test_replicates_are_compared_at_the_boundary_that_both_have_reached(direction: str, worse: float) -> None:
    pytest.importorskip("scipy", reason="pip install 'sweep-mlx[samplers]'")
    spec = with_pruner("{name: wilcoxon}", ("epochs: 3}", "epochs: 3}, replicates: 4"))
    pruner = pruners.make(spec, Length(2, 1))
    assert isinstance(pruner, optuna.pruners.WilcoxonPruner)
    view = adapters.ReplicatesAdapter(pruner, direction)
    complete = optuna.trial.TrialState.COMPLETE
    for number, each in enumerate((1.0, worse, 1.0)):
        view.enter(number)
        view.report(number, (1, (each, each + 0.1, each + 0.2, each + 0.3)))
    view.tell(0, complete, 1.0)
    assert [view.should_prune(1, 1), view.should_prune(2, 1)] == [True, False]
    view.tell(0, complete, 1.0)
    assert view.should_prune(1, 1), "the best trial told once more, after a kill, stays the best"
    view.report(1, (2, (9.0,) * 4))
    assert not view.should_prune(1, 2), "the best trial has not reached the second boundary"


@pytest.mark.parametrize(
    ("pruner", "rungs"),
    [
        ("{name: successive_halving}", (1, 4)),
        ("{name: successive_halving, min_resource: 3, reduction_factor: 2}", (3, 6)),
        ("{name: successive_halving, min_early_stopping_rate: 1, reduction_factor: 2}", (1, 2, 4, 8)),
        ("{name: hyperband, reduction_factor: 2}", (1, 2, 4, 8)),
        ("{name: successive_halving, min_resource: auto}", None),
        ("{name: median}", None),
        ("{name: patient, patience: 1, wrapped_pruner: {name: hyperband}}", None),
    ],
)
def test_the_rungs_are_where_a_pruner_may_prune(pruner: str, rungs: tuple[int, ...] | None) -> None:
    made = pruners.make(with_pruner(pruner), Length(12, 1))
    assert pruners.rungs(made, Length(12, 1)) == rungs


@pytest.mark.parametrize("name", ["successive_halving", "hyperband"])
def test_between_rungs_no_trial_is_pruned_however_it_does(name: str) -> None:
    length = Length(12, 1)
    made = pruners.make(with_pruner(f"{{name: {name}, reduction_factor: 2}}"), length)
    rungs = pruners.rungs(made, length)
    assert rungs is not None
    study = optuna.create_study(pruner=made, sampler=optuna.samplers.RandomSampler(seed=0))
    pruned = set()
    for number in range(60):
        trial = study.ask()
        for step in range(1, 13):
            trial.report(float((number * 7 + step * number) % 13), step)
            if trial.should_prune():
                pruned.add(step)
                break
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert pruned
    assert pruned <= set(rungs)
