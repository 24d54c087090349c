"""The trials of an earlier run directory, for this study's sampler to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from runlog import layout
from sweep.errors import Problem, RunDirError, SpecError
from sweep.rundir.history import History, boundary_rows, read_history, read_reports
from sweep.rundir.recorded_files import read_recorded
from sweep.search import samplers, space
from sweep.search.ends import DIVERGED, end_of
from sweep.search.optuna_internals import first_generation
from sweep.spec.edited.differences import differences
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the run directory that `warm_start` names, without reading its trials."""
    if spec.warm_start is None:
        return []
    try:
        _source(spec)
    except SpecError as error:
        return error.problems
    return []


def read(spec: StudySpec) -> list[FrozenTrial]:
    """The complete and pruned trials of the run directory that `warm_start` names, in number order.

    Raises SpecError where it cannot be read, or is a study of another space or other objectives.
    """
    path, history = _source(spec)
    outcomes = [outcome for _, outcome in sorted(history.told.items()) if _teaches(outcome)]
    reports = read_reports(path, {outcome.number for outcome in outcomes}) if outcomes else {}
    notes = first_generation(samplers.sampler_class(spec))  # genetic samplers breed from it on
    found = []
    for outcome in outcomes:
        rows = boundary_rows(reports.get(outcome.number, ()), spec.objective[0].metric, spec.trial.replicates)
        values = {examples: fmean(row) for examples, row in rows} if len(spec.objective) == 1 else {}
        found.append(_trial(spec, history, outcome, values, notes))
    return found


def _teaches(outcome: Outcome) -> bool:
    """Whether the trial says something of its hyperparameters: what broke does not."""
    return outcome.state is not TrialState.FAIL or outcome.diverged


def source_trials(spec: StudySpec, given: Sequence[FrozenTrial]) -> dict[str, Any]:
    """What CMA-ES starts from: the same trials, of their numbers only, where every trial has the same.

    It goes by their best tenth, so fewer than ten give nothing.
    """
    cls = samplers.sampler_class(spec)
    if spec.sampler.arguments.get("use_separable_cma"):
        return {}  # which Optuna does not combine with trials to start from
    if cls is not optuna.samplers.CmaEsSampler or {"x0", "sigma0"} & spec.sampler.arguments.keys():
        return {}
    if space.is_conditional(spec):
        return {}
    complete = [trial for trial in given if trial.state == optuna.trial.TrialState.COMPLETE]
    return {"source_trials": [_numbers_only(trial) for trial in complete]} if len(complete) >= 10 else {}


def _source(spec: StudySpec) -> tuple[Path, History]:
    path = spec.folder / (spec.warm_start or "")
    place = ("warm_start",)
    if not (path / layout.LOG).is_file() or not (path / layout.STUDY).is_file():
        what, remedy = f"{path} is no run directory", "give its path from the study file's folder"
        raise SpecError([spec.document.problem(place, what, "", remedy)])
    try:
        earlier = parse(read_recorded(path, layout.STUDY), str(path / layout.STUDY))
        history = read_history(path)
    except RunDirError as error:
        raise SpecError([spec.document.problem(place, f"cannot be read: {error}", "")]) from error
    changes = differences(earlier, spec, ("space", "objective"))
    if changes:
        differing = "; ".join(f"{each.key} was {each.old} there, is {each.new}" for each in changes)
        what = f"that run has another space or objective: {differing}"
        raise SpecError([spec.document.problem(place, what, "", "make them the same, or remove it")])
    return path, history


def _trial(
    spec: StudySpec, history: History, outcome: Outcome, values: dict[int, float], notes: dict[str, Any]
) -> FrozenTrial:
    distributions = space.distributions(spec)
    params = history.study.trials[outcome.number].params
    state, values_told = end_of(spec, outcome)
    return optuna.trial.create_trial(
        state=state,
        values=values_told,
        params=dict(params),
        distributions={name: distributions[name] for name in params},
        intermediate_values=values,
        user_attrs={
            "warm_start": spec.warm_start,
            "warm_start_number": outcome.number,
            **({DIVERGED: True} if outcome.diverged else {}),
        },
        system_attrs=notes,
        constraints=dict(outcome.constraints),
    )


def _numbers_only(trial: FrozenTrial) -> FrozenTrial:
    numeric = {
        name: each
        for name, each in trial.distributions.items()
        if not isinstance(each, optuna.distributions.CategoricalDistribution)
    }
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params={name: trial.params[name] for name in numeric},
        distributions=numeric,
        intermediate_values=trial.intermediate_values,
    )
