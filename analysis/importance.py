"""Which hyperparameters decide whether a trial is among the best, and how sure that is.

PED-ANOVA (Watanabe et al., IJCAI 2023; Optuna's default): how far the values of the best trials are
spread otherwise than those of all. Conditional hyperparameters are part of it. It is told for resampled
trials too, which gives quartiles, and for shuffled values, which gives what chance alone would reach.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.errors import RunError, warn
from analysis.studyfile import holds


class Objective(NamedTuple):
    """The column of an objective's values, and "maximize" or "minimize"."""

    column: str
    direction: str


LEAST_TRIALS = 8
REPEATS = 30
_MOST_TRIALS = 1000
"""Of more trials this many are drawn: each repeat then takes a tenth of a second."""

_TOP_SHARE = 0.1
_TOP_TRIALS = 5


def importance(
    trials: pd.DataFrame, objectives: Sequence[Objective], space: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """A row per hyperparameter: `importance, low, high, chance`; for several objectives, of the front.

    `trials` has the columns of `Run.trials`, `objectives` name those of them that hold values, and `space`
    has the study file's entries. Raises RunError where too few trials are complete.
    """
    frozen = _frozen(trials, [each.column for each in objectives], space)
    if len(frozen) < LEAST_TRIALS:
        raise RunError(
            f"importance needs at least {LEAST_TRIALS} complete trials of hyperparameters that differ; "
            f"there are {len(frozen)}"
        )
    return _table(frozen, [each.direction for each in objectives])


def _table(trials: list[FrozenTrial], directions: Sequence[str]) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    if len(trials) > _MOST_TRIALS:
        trials = [trials[i] for i in sorted(generator.choice(len(trials), _MOST_TRIALS, replace=False))]
    names = sorted({name for trial in trials for name in trial.params})
    found = _evaluate(trials, directions, names)
    resampled, shuffled = [], []
    for _ in range(REPEATS):
        drawn = [trials[i] for i in generator.integers(len(trials), size=len(trials))]
        order = generator.permutation(len(trials))
        values = [trials[i].values for i in order]
        resampled.append(_evaluate(drawn, directions, names))
        shuffled.append(_evaluate(trials, directions, names, values))
    total = found.sum() or 1.0
    shares = np.array([each / (each.sum() or 1.0) for each in resampled])
    table = pd.DataFrame(
        {
            "importance": found / total,
            "low": np.minimum(np.quantile(shares, 0.25, axis=0), found / total),
            "high": np.maximum(np.quantile(shares, 0.75, axis=0), found / total),
            "chance": np.quantile(np.array(shuffled), 0.9, axis=0) / total,
        },
        index=pd.Index(names, name="hyperparameter"),
    )
    return table.sort_values("importance", ascending=False, kind="stable")


def _evaluate(
    trials: Sequence[FrozenTrial],
    directions: Sequence[str],
    names: list[str],
    values: Sequence[Sequence[float]] | None = None,
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Importances in the order of `names`, not normalised."""
    study = _Trials(trials, directions, values)
    share = min(0.5, max(_TOP_SHARE, _TOP_TRIALS / len(trials)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    present = {name for trial in trials for name in trial.params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials in a conditional branch: the quartiles say it
        found = evaluator.evaluate(cast(optuna.Study, study), [name for name in names if name in present])
    return np.array([found.get(name, 0.0) for name in names])


class _Trials:
    """What the evaluator asks a study for; trials drawn twice count as two."""

    def __init__(
        self,
        trials: Sequence[FrozenTrial],
        directions: Sequence[str],
        values: Sequence[Sequence[float]] | None,
    ) -> None:
        self.directions = [
            StudyDirection.MAXIMIZE if direction == "maximize" else StudyDirection.MINIMIZE
            for direction in directions
        ]
        self._trials = [copy.copy(trial) for trial in trials]
        for number, trial in enumerate(self._trials):
            trial._trial_id = number
            if values is not None:
                trial.values = values[number]

    def get_trials(self, deepcopy: bool = True, states: object = None) -> list[FrozenTrial]:
        return self._trials

    def _is_multi_objective(self) -> bool:
        return len(self.directions) > 1


def _frozen(
    trials: pd.DataFrame, columns: Sequence[str], space: Mapping[str, Mapping[str, Any]]
) -> list[FrozenTrial]:
    """The COMPLETE trials of finite values as Optuna's, with the hyperparameters that differ."""
    complete = trials[trials["state"] == "COMPLETE"].dropna(subset=list(columns))
    complete = complete[np.isfinite(complete[list(columns)].to_numpy(dtype="float64")).all(axis=1)]
    names = [name for name in map(str, complete) if name.startswith("params_")]
    held = {name.removeprefix("params_"): complete[name] for name in names}
    spaces = {
        name: distribution
        for name, values in held.items()
        if (distribution := _distribution(values.dropna().tolist(), space.get(name)))
    }
    rows = zip(*(complete[column] for column in columns), strict=True)
    found = []
    for index, values in zip(complete.index, rows, strict=True):
        params = {name: held[name].loc[index] for name in spaces if not pd.isna(held[name].loc[index])}
        params = {
            name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()
        }
        distributions = {name: spaces[name] for name in params}
        found.append(_trial(params, distributions, values))
    return [trial for trial in found if trial is not None and trial.params]


def _trial(
    params: dict[str, Any], distributions: dict[str, BaseDistribution], values: Sequence[float]
) -> FrozenTrial | None:
    try:
        return create_trial(
            state=TrialState.COMPLETE, values=list(values), params=params, distributions=distributions
        )
    except ValueError as error:
        warn(f"a trial does not fit the study file's space and was left out: {error}")
        return None


def _distribution(values: Sequence[Any], entry: Mapping[str, Any] | None) -> BaseDistribution | None:
    """Optuna's distribution; without an entry of the space, what the values span; None where they are one."""
    if len(set(values)) < 2:
        return None
    if entry is None or not all(holds(entry, value) for value in values):  # of a space that was edited
        if all(type(value) is int for value in values):
            return IntDistribution(min(values), max(values))
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            log = min(values) > 0 and math.log10(max(values) / min(values)) > 2
            return FloatDistribution(min(values), max(values), log=log)
        return CategoricalDistribution(list(dict.fromkeys(values)))
    if "choices" in entry:
        return CategoricalDistribution(entry["choices"])
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=1 if log else entry.get("step") or 1)
    return FloatDistribution(low, high, log=log, step=None if log else entry.get("step"))
