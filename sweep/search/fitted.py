"""Trials that were asked in another space, in Optuna's storage and as its samplers see them.

Optuna lets no hyperparameter change its choices or its kind, and many of its samplers take only what all
trials have alike. So the storage holds such a trial with the values that fit, and says which are its own; one
that does not fit is there for people, and for samplers it is one that failed: they learn nothing of it.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.search.optuna_internals import STALE_NOTES, trial_id, trials_of
from sweep.search.wrapped import WrappedSampler
from sweep.spec.fitting import Fit
from sweep.vocabulary.trial import Scalar

EDITS = "space_edits"
"""The study's user attribute: how often its space had been edited when the journal was begun."""

LEFT_OUT = "left_out"
"""The user attribute of a trial that does not fit: the hyperparameter for which it does not."""

MOVED = "moved"
"""The user attribute of a trial of which some values stand for ones close to them: their names."""

OWN = "own_params"
"""The user attribute of a trial whose own values are others than those that the storage has: its own."""


def marks(fit: Fit, own: Mapping[str, Scalar]) -> dict[str, Any]:
    """The user attributes that say how a trial fits."""
    found: dict[str, Any] = {}
    if fit.misfit is not None:
        found[LEFT_OUT] = fit.misfit
    if fit.moved:
        found[MOVED] = list(fit.moved)
    if dict(own) != dict(fit.params):
        found[OWN] = dict(own)
    return found


def at_own_point(trial: FrozenTrial) -> bool:
    """Whether the trial was at the very point that the storage has."""
    return not trial.user_attrs.keys() & {LEFT_OUT, MOVED}


def kept_notes(notes: Mapping[str, Any]) -> dict[str, Any]:
    """What samplers noted that still holds in another space."""
    return {key: value for key, value in notes.items() if not key.startswith(STALE_NOTES)}


def fitted(
    trial: FrozenTrial, fit: Fit, own: Mapping[str, Scalar], distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """A trial of the storage with the values that it has in another space; all else stays."""
    found = copy.copy(trial)
    found.params = dict(fit.params)
    found.distributions = {name: distributions[name] for name in fit.params}
    others = {key: value for key, value in trial.user_attrs.items() if key not in (LEFT_OUT, MOVED, OWN)}
    found.user_attrs = {**others, **marks(fit, own)}
    found.system_attrs = kept_notes(trial.system_attrs)
    return found


class Seeing(WrappedSampler):
    """The sampler, shown trials that do not fit as ones that failed; `left_out` are their numbers."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, left_out: Container[int]) -> None:
        super().__init__(sampler)
        self._left_out = left_out

    def _shown(self, study: optuna.Study) -> optuna.Study:
        return shown(study, self._left_out)


def shown(study: optuna.Study, left_out: Container[int]) -> optuna.Study:
    """The study with trials that do not fit as failed ones."""
    return cast(optuna.Study, _Shown(study, left_out))


class _Shown:
    """Stands for a study, which under Hyperband is one of a bracket's trials."""

    def __init__(self, study: optuna.Study, left_out: Container[int]) -> None:
        self._study = study
        self._left_out = left_out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.get_trials()

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._replaced(self._study.get_trials(deepcopy=deepcopy), states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self._replaced(trials_of(self._study, deepcopy=deepcopy, use_cache=use_cache), states)

    def _replaced(self, trials: list[FrozenTrial], states: Container[TrialState] | None) -> list[FrozenTrial]:
        found = [_failed(each) if each.number in self._left_out else each for each in trials]
        return found if states is None else [each for each in found if each.state in states]


def _failed(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the same number of which nothing can be learnt."""
    return FrozenTrial(
        number=trial.number,
        trial_id=trial_id(trial),
        state=TrialState.FAIL,
        value=None,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
