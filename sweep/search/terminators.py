"""Optuna's terminators: whether further trials still pay off."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.terminator import (
    BaseImprovementEvaluator,
    BestValueStagnationEvaluator,
    CrossValidationErrorEvaluator,
    EMMREvaluator,
    MedianErrorEvaluator,
    RegretBoundEvaluator,
    StaticErrorEvaluator,
    Terminator,
    report_cross_validation_scores,
)

from sweep.errors import Problem, SpecError
from sweep.spec.named import classes
from sweep.spec.named.registry import Registered, Registry
from sweep.spec.schema import StudySpec

REGISTRY = Registry(
    "terminator",
    {
        "regret_bound": Registered(RegretBoundEvaluator, ("scipy", "torch")),
        "emmr": Registered(EMMREvaluator, ("scipy", "torch")),
        "best_value_stagnation": Registered(BestValueStagnationEvaluator),
    },
    open=False,
)
PATH = ("stop", "terminator")
WITHHELD = {"seed": "the study's `seed` is used"}


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the terminator; needs Optuna, which reading the file does not."""
    chosen = spec.stop.terminator
    if chosen is None:
        return []
    document, own = spec.document, ("name", "min_n_trials")
    try:
        cls = REGISTRY.find(document, (*PATH, "name"), chosen.name)
    except SpecError as error:
        return error.problems
    found = list(classes.problems(document, PATH, cls, chosen.arguments, own=own, withheld=WITHHELD))
    if chosen.name == "regret_bound" and spec.trial.replicates < 2:
        what = "must be at least 2 for regret_bound, which compares with the spread over replicates"
        remedy = "raise it, or use emmr"
        found.append(document.problem(("trial", "replicates"), what, str(spec.trial.replicates), remedy))
    if not found:
        try:
            make(spec)
        except SpecError as error:
            return error.problems
    return found


def make(spec: StudySpec) -> Terminator | None:
    """The study's terminator, if it has one. Raises SpecError.

    The regret bound is compared with the error of replicates, EMMR against its own median, stagnation
    against nothing.
    """
    chosen = spec.stop.terminator
    if chosen is None:
        return None
    cls = REGISTRY.find(spec.document, (*PATH, "name"), chosen.name)
    given: dict[str, Any] = dict(chosen.arguments)
    if "seed" in classes.parameters(cls):
        given["seed"] = spec.seed % 2**32
    with _quietly():
        evaluator: BaseImprovementEvaluator = classes.build(spec.document, PATH, cls, given)
        match evaluator:
            case RegretBoundEvaluator():
                return Terminator(evaluator, CrossValidationErrorEvaluator(), chosen.min_n_trials)
            case EMMREvaluator():
                return Terminator(evaluator, MedianErrorEvaluator(evaluator), chosen.min_n_trials)
            case _:
                return Terminator(evaluator, StaticErrorEvaluator(0.0), chosen.min_n_trials)


def note_replicates(trial: optuna.Trial, values: Sequence[float]) -> None:
    """Replicates are to a trial what folds are in cross-validation: they say how sure its value is."""
    with _quietly():
        report_cross_validation_scores(trial, list(values))


@contextmanager
def _quietly() -> Iterator[None]:
    """Ignore that Optuna calls terminators experimental or old: the study file names them on purpose."""
    with warnings.catch_warnings():
        for category in (ExperimentalWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        yield
