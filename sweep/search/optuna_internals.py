"""Optuna's private names behind plain functions: what each gives, and why the public way will not do.

Optuna is pinned to its minor version for them. Besides here they stand in `journal`, `tpe.sampler` and
`wrappers.seeing`, which are storages, samplers and studies of Optuna's. The test of this module lists them
all, and what to change for each.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, _get_single_value
from optuna.pruners import HyperbandPruner, PatientPruner, SuccessiveHalvingPruner
from optuna.samplers._ga import BaseGASampler
from optuna.samplers._tpe._truncnorm import _log_gauss_mass, _norm_pdf_logC
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedTruncLogNormDistributions,
    _BatchedTruncNormDistributions,
)
from optuna.samplers._tpe.sampler import (
    _get_infeasible_trial_score,
    _get_pruned_trial_score,
    default_gamma,
)
from optuna.storages import BaseStorage
from optuna.study._tell import _tell_with_warning
from optuna.trial import FrozenTrial, TrialState

ParzenEstimator = _ParzenEstimator
"""A mixture of kernels, as TPE draws from."""

CONTINUOUS_KERNELS = (_BatchedTruncNormDistributions, _BatchedTruncLogNormDistributions)
"""The kernels of hyperparameters without steps and choices."""

LOG_NORMAL_CONSTANT: float = _norm_pdf_logC
"""The log of the square root of two pi, as Optuna rounds it."""

log_gauss_mass = _log_gauss_mass
"""The log of a standard normal's mass between two ends, elementwise."""

gamma = default_gamma
"""How many of so many trials TPE takes for good ones."""

infeasible_score = _get_infeasible_trial_score
"""By how much a trial breaks its constraints in all; 0 where it breaks none."""

pruned_score = _get_pruned_trial_score
"""What TPE ranks a pruned trial by: how far it came, and its value there."""


def tell(
    study: optuna.Study, trial: optuna.Trial | int, values: list[float] | None, state: TrialState
) -> None:
    """End a trial that may have ended before. `Study.tell` copies the whole trial once more to return it."""
    _tell_with_warning(study, trial, values, state, skip_if_finished=True)


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage behind a study; it has no public name."""
    return study._storage


def study_id(study: optuna.Study) -> int:
    """The study's id in its storage; it has no public name."""
    return study._study_id


def all_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Every trial, not copied. A study that a sampler is given under Hyperband shows those of one bracket."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def trials_of(study: optuna.Study, *, deepcopy: bool, use_cache: bool) -> list[FrozenTrial]:
    """What samplers ask a study for; `get_trials` has no cache, which lasts for one ask."""
    return study._get_trials(deepcopy=deepcopy, use_cache=use_cache)


def trial_id(trial: optuna.Trial | FrozenTrial) -> int:
    """The trial's id in its storage; it has no public name."""
    return trial._trial_id


def note_report(trial: optuna.Trial, step: int, value: float) -> None:
    """Have a live trial know a report that its storage was given without it."""
    trial._cached_frozen_trial.intermediate_values[step] = value


def has_report(trial: optuna.Trial, step: int) -> bool:
    """Whether a value was reported at the step; Optuna warns where one is reported twice."""
    return step in trial._cached_frozen_trial.intermediate_values


def set_param(
    study: optuna.Study, trial: FrozenTrial, name: str, value: Any, distribution: BaseDistribution
) -> None:
    """Give a trial a hyperparameter that it was suggested before; the public way would sample again."""
    internal = distribution.to_internal_repr(value)
    study._storage.set_trial_param(trial._trial_id, name, internal, distribution)


def successive_halving_numbers(pruner: optuna.pruners.BasePruner) -> tuple[int | None, int]:
    """The least resource (None where it is found out on the way) and the reduction factor.

    Of a SuccessiveHalvingPruner or a HyperbandPruner, which tell neither.
    """
    least: int | None = pruner._min_resource  # type: ignore[attr-defined]
    factor: int = pruner._reduction_factor  # type: ignore[attr-defined]
    return least, factor


def marks_rungs(pruner: optuna.pruners.BasePruner) -> bool:
    """Whether a pruner notes in each trial what it was at the rungs, to compare later ones with."""
    if isinstance(pruner, PatientPruner):
        wrapped = pruner._wrapped_pruner
        return wrapped is not None and marks_rungs(wrapped)
    return isinstance(pruner, SuccessiveHalvingPruner | HyperbandPruner)


RUNG_MARK = "completed_rung_"
"""How the system attributes of a trial begin in which such a pruner notes what it was at a rung."""


def prepare_brackets(study: optuna.Study) -> None:
    """Have Hyperband make its brackets now, once: it would at the first verdict, and until then has one."""
    if isinstance(study.pruner, HyperbandPruner):
        study.pruner._try_initialization(study)


def mark_rungs(study: optuna.Study, trial_id: int) -> None:
    """Have the pruner note what a running trial was at the rungs that it has passed; verdicts are dropped.

    A trial's own judgement is of its last report, so each of them is shown as if it were that.
    """
    needs_all = isinstance(study.pruner, PatientPruner)
    shown: dict[int, float] = {}
    for step, value in sorted(study._storage.get_trial(trial_id).intermediate_values.items()):
        shown = {**shown, step: value} if needs_all else {step: value}
        trial = copy.copy(study._storage.get_trial(trial_id))
        trial.intermediate_values = shown
        study.pruner.prune(study, trial)


def first_generation(cls: type[optuna.samplers.BaseSampler]) -> dict[str, Any]:
    """The attributes of a genetic sampler's first generation; none for another sampler."""
    return {cls._get_generation_key(): 0} if issubclass(cls, BaseGASampler) else {}


def random_states(sampler: object) -> Iterator[np.random.RandomState]:
    """Every random state that a sampler draws from; `reseed_rng` sets none of them to a given seed."""
    for name in RANDOM_PARTS:
        part = getattr(sampler, name, None)
        if isinstance(part, optuna.samplers.BaseSampler):
            yield from random_states(part)
        elif part is not None and hasattr(part, "rng"):
            yield part.rng


RANDOM_PARTS = ("_rng", "_cma_rng", "_random_sampler", "_independent_sampler")
"""Attributes of samplers: random states of their own, and samplers that they hand draws on to."""


def fixed_params(trial: FrozenTrial) -> dict[str, Any] | None:
    """The params that a trial was enqueued with; None where it was not."""
    return trial.system_attrs.get("fixed_params")


def grid_points(sampler: optuna.samplers.GridSampler) -> list[dict[str, Any]]:
    """The points of a grid in the order that it tries them."""
    return [dict(zip(sampler._param_names, values, strict=True)) for values in sampler._all_grids]


def grid_point(trial: FrozenTrial) -> int | None:
    """The place in the grid that a trial was given; None where it has none."""
    place: int | None = trial.system_attrs.get("grid_id")
    return place


def enter_grid_point(
    study: optuna.Study, trial: FrozenTrial, sampler: optuna.samplers.GridSampler, place: int
) -> None:
    """Give a trial its place in the grid, as Optuna notes it."""
    for name, value in (("search_space", sampler._search_space), ("grid_id", place)):
        study._storage.set_trial_system_attr(trial._trial_id, name, value)


STALE_NOTES = (
    "cma:", "sepcma:", "cmawm:", "x_for_tell", "tpe:", "gp:", "search_space", "grid_id", "fixed_params",
)  # fmt: skip
"""How system attributes of trials begin that hold of one space only."""


GENERATION = ":generation"
"""How the system attribute ends in which a genetic sampler keeps a trial's generation."""

COUNT = "qmc:"
"""How the study's system attributes begin in which a QMC sampler keeps how far it is in a sequence."""


def counts_of(study: optuna.Study) -> dict[str, Any]:
    """How far a QMC sampler is in each space's sequence."""
    found = study._storage.get_study_system_attrs(study._study_id)
    return {key: value for key, value in found.items() if key.startswith(COUNT)}


def set_counts(study: optuna.Study, attributes: Mapping[str, Any]) -> None:
    """Take over from system attributes how far a QMC sampler is, where that is further than is known."""
    known = counts_of(study)
    for key, value in attributes.items():
        if key.startswith(COUNT) and value > known.get(key, -1):
            study._storage.set_study_system_attr(study._study_id, key, value)


def has_usual_kernels(sampler: optuna.samplers.TPESampler) -> bool:
    """Whether a TPE sampler weighs trials, and chooses its kernels' widths, as it does by default."""
    usual = optuna.samplers.TPESampler()
    names = ("_parzen_estimator_parameters", "_gamma", "_parzen_estimator_cls")
    return all(getattr(sampler, name) == getattr(usual, name) for name in names)


class UniformDraw:
    """How a random sampler draws some hyperparameters, found out once: it does so at every draw."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._order = list(distributions)
        self._single = {name: single_value(each) for name, each in distributions.items() if each.single()}
        drawn = {name: each for name, each in distributions.items() if name not in self._single}
        self._transform = _SearchSpaceTransform(drawn) if drawn else None

    def values(self, rng: np.random.RandomState) -> dict[str, Any]:
        """One value of each, in their order: those that have only one take no random number."""
        if self._transform is None:
            return self._single
        bounds = self._transform.bounds
        values = self._transform.untransform(rng.uniform(bounds[:, 0], bounds[:, 1]))
        if not self._single:
            return values
        found = {**values, **self._single}
        return {name: found[name] for name in self._order}


def single_value(distribution: BaseDistribution) -> Any:
    """The only value of a distribution that has no other."""
    return _get_single_value(distribution)


def mixture(estimator: ParzenEstimator) -> tuple[Any, Sequence[Any], dict[str, BaseDistribution]]:
    """The weights of an estimator's kernels, the kernels of each hyperparameter, and the hyperparameters."""
    weights, kernels = estimator._mixture_distribution
    return weights, kernels, estimator._search_space
