"""Any sampler, its values on a log scale rounded to steps: Optuna has no distribution of that kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.spec.schema import Choices, Entry, FloatRange, IntRange

Range = IntRange | FloatRange


def rounded_entries(space: Mapping[str, Entry]) -> dict[str, Range]:
    """The entries that have both `log` and a step."""
    ranges = {name: entry for name, entry in space.items() if not isinstance(entry, Choices)}
    return {name: entry for name, entry in ranges.items() if entry.log and entry.step not in (None, 1)}


def to_step(entry: Range, value: float) -> int | float:
    """The step of the range that is nearest to a value within it, rounded once as `steps` gives it."""
    low, step = Fraction(repr(entry.low)), Fraction(repr(entry.step))
    found = low + round((Fraction(repr(value)) - low) / step) * step
    return int(found) if isinstance(entry, IntRange) else float(found)


class Rounded(optuna.samplers.BaseSampler):
    """Proposes what the sampler does; what Optuna writes down is the rounded value."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, entries: Mapping[str, Range]) -> None:
        self._sampler = sampler
        self._entries = entries

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        params = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._rounded(name, value) for name, value in params.items()}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._rounded(param_name, value)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def _rounded(self, name: str, value: Any) -> Any:
        entry = self._entries.get(name)
        return value if entry is None else to_step(entry, value)
