"""Entries of a study's space as Optuna distributions, and the suggestion of a trial's hyperparameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import assert_never

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.errors import Problem, SpecError
from sweep.spec.conditions import dependency_order, is_active, steps
from sweep.spec.points import Points
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange, StudySpec
from sweep.vocabulary.trial import Scalar

MAX_GRID = 1_000_000
"""Optuna lists all points of a grid."""


def distributions(spec: StudySpec) -> dict[str, BaseDistribution]:
    """Every entry's distribution, conditional ones too; parents first, else by name."""
    return {name: _distribution(spec.space[name]) for name in dependency_order(spec.space)}


def grid(spec: StudySpec) -> dict[str, list[Scalar]]:
    """Every value of every entry, for the grid sampler; each entry lists its values or has a step."""
    total = Points(spec).total
    if total is not None and total > MAX_GRID:
        what, remedy = f"the grid has {total} points, more than {MAX_GRID}", "use random or another sampler"
        raise SpecError([spec.document.problem(("sampler", "name"), what, "", remedy)])
    values: dict[str, list[Scalar]] = {}
    for name, entry in spec.space.items():
        match entry:
            case Choices():
                values[name] = list(entry.choices)
            case FloatRange(step=None):
                raise SpecError([_continuous(spec, name)])
            case IntRange() | FloatRange():
                values[name] = list(steps(entry))
    return values


def _continuous(spec: StudySpec, name: str) -> Problem:
    what = "the grid sampler cannot list a continuous range"
    remedy = "give it a step or choices, or use another sampler"
    return spec.document.problem(("space", name), what, "", remedy)


def is_conditional(spec: StudySpec) -> bool:
    """Whether some trials lack some hyperparameters."""
    return any(entry.when for entry in spec.space.values())


def conditions(spec: StudySpec) -> dict[str, Callable[[Mapping[str, Scalar]], bool]]:
    """Of every entry with a `when`: whether it applies to a trial with these hyperparameters."""
    fixed = spec.fixed
    return {
        name: partial(lambda entry, params: is_active(entry, {**fixed, **params}), entry)
        for name, entry in spec.space.items()
        if entry.when
    }


def suggest_all(
    trial: optuna.trial.BaseTrial, spec: StudySpec, order: Sequence[str] | None = None
) -> dict[str, Scalar]:
    """Suggest every entry whose `when` holds, parents first; gives the params, without the fixed ones.

    `order` is the space's dependency order, where the caller has it already. It does not depend on the
    file's, so that neither do a random sampler's proposals.
    """
    params: dict[str, Scalar] = {}
    for name in order if order is not None else dependency_order(spec.space):
        if is_active(spec.space[name], {**spec.fixed, **params}):
            params[name] = _suggest(trial, name, spec.space[name])
    return params


def _distribution(entry: Entry) -> BaseDistribution:
    match entry:
        case Choices():
            return CategoricalDistribution(entry.choices)
        case IntRange():
            return IntDistribution(entry.low, entry.high, log=entry.log, step=int(_step(entry) or 1))
        case FloatRange():
            return FloatDistribution(entry.low, entry.high, log=entry.log, step=_step(entry))
        case _:
            assert_never(entry)


def _suggest(trial: optuna.trial.BaseTrial, name: str, entry: Entry) -> Scalar:
    match entry:
        case Choices():
            return trial.suggest_categorical(name, entry.choices)
        case IntRange():
            step = int(_step(entry) or 1)
            return trial.suggest_int(name, entry.low, entry.high, log=entry.log, step=step)
        case FloatRange():
            return trial.suggest_float(name, entry.low, entry.high, log=entry.log, step=_step(entry))
        case _:
            assert_never(entry)


def _step(entry: IntRange | FloatRange) -> float | None:
    """The step that Optuna is told of: on a log scale none, `rounded` sees to it."""
    return None if entry.log else entry.step
