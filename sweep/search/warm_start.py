"""Trials of elsewhere, for this study's sampler to learn from: of run directories, and of tables.

They are mapped by name into this study's space, as trials of before an edit are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from sweep.errors import Problem, SpecError
from sweep.search import samplers, space
from sweep.search.ends import DIVERGED
from sweep.search.fitted import WARM_START, marks
from sweep.search.optuna_internals import first_generation
from sweep.search.warm_sources import Known, Source, source
from sweep.spec.edited.fitting import Fit, Fitting, summary
from sweep.spec.schema import StudySpec


class WarmStart(NamedTuple):
    """The trials of all sources in the order in which they ended, and what to say of each source."""

    trials: list[FrozenTrial]
    notes: list[str]


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with what `warm_start` names."""
    try:
        for index in range(len(spec.warm_start)):
            _fitted(spec, index)
    except SpecError as error:
        return error.problems
    return []


def read(spec: StudySpec, until: float | None = None) -> WarmStart:
    """The complete and pruned trials of what `warm_start` names, those too that do not fit this space.

    Of several sources those alone that had ended by `until`, in seconds since 1970. Raises SpecError where
    something cannot be read, is of other objectives, or has no trial that fits.
    """
    distributions = space.distributions(spec)
    notes = first_generation(samplers.sampler_class(spec))  # genetic samplers breed from it on
    found = WarmStart([], [])
    for index, name in enumerate(spec.warm_start):
        fitted = _fitted(spec, index)
        if until is not None and len(spec.warm_start) > 1:
            fitted = [each for each in fitted if each[0].ended is None or each[0].ended <= until]
        found.trials.extend(_trial(name, known, fit, distributions, notes) for known, fit in fitted)
        said = f"warm start from {name}: {summary(fit for _, fit in fitted)}"
        others = dict.fromkeys(each for known, _ in fitted for each in known.params)
        unused = [each for each in others if each not in spec.space and each not in spec.fixed]
        found.notes.append(said + (f"; not in this space: {', '.join(unused)}" if unused else ""))
    return found


def _fitted(spec: StudySpec, index: int) -> list[tuple[Known, Fit]]:
    """The trials of one source, each as it is in this space."""
    found: Source = source(spec, index)
    fit = Fitting(spec, before=found.before).fit
    fitted = [(known, fit(known.params, known.hyperparameters)) for known in found.trials]
    if fitted and all(each.misfit is not None for _, each in fitted):
        names = ", ".join(dict.fromkeys(str(each.misfit) for _, each in fitted))
        what = f"none of its {len(fitted)} trials fits this space, by {names}"
        remedy = (
            "write `earlier`: {NAME: VALUE} for what they have no value of, widen the space, or remove it"
        )
        raise SpecError([spec.document.problem(found.place, what, "", remedy)])
    return fitted


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


def _trial(
    name: str,
    known: Known,
    fit: Fit,
    distributions: Mapping[str, BaseDistribution],
    notes: dict[str, Any],
) -> FrozenTrial:
    names = known.params.keys() | fit.params.keys()
    own = {each: value for each, value in known.hyperparameters.items() if each in names}
    return optuna.trial.create_trial(
        state=known.state,
        values=known.values,
        params=dict(fit.params),
        distributions={each: distributions[each] for each in fit.params},
        intermediate_values=dict(known.reports),
        user_attrs={
            WARM_START: name,
            "warm_start_number": known.number,
            **({DIVERGED: True} if known.diverged else {}),
            **marks(fit, own),
        },
        system_attrs=notes,
        constraints=dict(known.constraints),
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
