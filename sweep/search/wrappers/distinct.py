"""Any sampler, held to points that were not tried, in a space of finitely many points."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from sweep.search.optuna_internals import fixed_params
from sweep.search.wrappers.base import WrappedSampler
from sweep.spec.points import Points
from sweep.vocabulary.trial import Scalar

DRAWS = 8
"""How often the sampler is asked for another value before the nearest one that is left is taken."""


class Distinct(WrappedSampler):
    """Proposes what the sampler does, as long as that leads to a point that was not tried.

    Values are drawn in dependency order, so each is drawn again while all points that begin with it were
    tried. `seed` and the trial's number decide among choices where drawing again does not help.
    """

    def __init__(self, sampler: optuna.samplers.BaseSampler, points: Points, seed: int) -> None:
        super().__init__(sampler)
        self._points = points
        self._seed = seed

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values drawn together, as far as they are a path of their own; the others are drawn alone."""
        params = super().sample_relative(study, trial, search_space)
        leading = self._points.leading({**params, **_enqueued(trial)})
        if not self._points.is_left(leading):
            return {}
        return {name: value for name, value in params.items() if name in leading}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        for _ in range(DRAWS):
            value = super().sample_independent(study, trial, param_name, param_distribution)
            if self._is_left(trial, param_name, value):
                return value
        values = self._points.values(param_name)
        left = [each for each in values if self._is_left(trial, param_name, each)]
        if not left:  # all points were tried
            return value
        if isinstance(param_distribution, CategoricalDistribution):
            chance = np.random.default_rng([self._seed, trial.number])
            return left[chance.integers(len(left))]
        return min(left, key=lambda each: abs(each - value))

    def _is_left(self, trial: FrozenTrial, name: str, value: Scalar) -> bool:
        return self._points.is_left({**_enqueued(trial), **trial.params, name: value})


def _enqueued(trial: FrozenTrial) -> dict[str, Any]:
    """The values that the trial is going to have, whatever is drawn."""
    return fixed_params(trial) or {}
