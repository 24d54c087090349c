"""Any sampler, its values on a log scale rounded to steps: Optuna has no distribution of that kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from sweep.search.wrappers.base import WrappedSampler
from sweep.spec.conditions import to_step
from sweep.spec.schema import Choices, Entry, FloatRange, IntRange

Range = IntRange | FloatRange


def rounded_entries(space: Mapping[str, Entry]) -> dict[str, Range]:
    """The entries that have both `log` and a step."""
    ranges = {name: entry for name, entry in space.items() if not isinstance(entry, Choices)}
    return {name: entry for name, entry in ranges.items() if entry.log and entry.step not in (None, 1)}


class Rounded(WrappedSampler):
    """Proposes what the sampler does; what Optuna writes down is the rounded value."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, entries: Mapping[str, Range]) -> None:
        super().__init__(sampler)
        self._entries = entries

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        params = super().sample_relative(study, trial, search_space)
        return {name: self._rounded(name, value) for name, value in params.items()}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = super().sample_independent(study, trial, param_name, param_distribution)
        return self._rounded(param_name, value)

    def _rounded(self, name: str, value: Any) -> Any:
        entry = self._entries.get(name)
        return value if entry is None else to_step(entry, value)
