"""A sampler that counts in the study how far it is: every trial notes the count, so that the log has it."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from sweep.search.optuna_internals import counts_of, storage_of, trial_id
from sweep.search.wrappers.base import WrappedSampler

COUNTS = "counts"
"""The system attribute of a trial: what its sampler had counted in the study once the trial was drawn."""


class Noted(WrappedSampler):
    """The sampler. A kill may leave its trial in the log and its count on no disk: the point came twice."""

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        params = super().sample_relative(study, trial, search_space)
        if counts := counts_of(study):
            storage_of(study).set_trial_system_attr(trial_id(trial), COUNTS, counts)
        return params
