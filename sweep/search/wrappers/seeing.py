"""Any sampler, shown trials that do not fit an edited space as failed ones: it learns nothing of them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, cast

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.search.optuna_internals import trial_id, trials_of
from sweep.search.wrappers.base import WrappedSampler


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
