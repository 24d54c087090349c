"""A study's trials as TPE sees them, each read once when it has ended: how they rank, and their numbers."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.search import ends
from sweep.search.optuna_internals import infeasible_score, pruned_score
from sweep.search.tpe.divergence import Divergence

COMPLETE, PRUNED, DIVERGED, INFEASIBLE = range(4)
"""In this order trials are good: completed ones first, those that keep no constraint last.

Optuna's own has no place for those that diverged: told as complete they would be better than pruned ones.
"""

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


class ByNumber(Protocol):
    """Trials, or some of them, by their numbers."""

    def __getitem__(self, number: int, /) -> FrozenTrial: ...


class Ranking:
    """The completed and pruned trials of a study with one objective, best first; as many as its length."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study
        self._ranked: list[tuple[int, float, float, int]] = []
        self._is_ranked = np.zeros(0, bool)
        self._unended: list[int] = []
        self._seen = 0
        self.divergence = Divergence()

    def __len__(self) -> int:
        return len(self._ranked)

    def follow(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Rank what has ended among all trials of the study, in order; the numbers of those that run."""
        self._is_ranked = with_room(self._is_ranked, len(trials))
        unended = []
        for number in chain(self._unended, range(self._seen, len(trials))):
            if trials[number].state.is_finished():
                self._enter(trials[number])
            else:
                unended.append(number)
        self._unended, self._seen = unended, len(trials)
        return [number for number in unended if trials[number].state == TrialState.RUNNING]

    def split(self, n_below: int, liars: Sequence[int]) -> tuple[Numbers, Numbers]:
        """The numbers of so many of the best, and of the others; `liars` run, and are taken for bad ones."""
        is_good, is_bad = self.told_apart(n_below)
        is_bad[liars] = True
        return np.flatnonzero(is_good), np.flatnonzero(is_bad)

    def told_apart(self, n_below: int) -> tuple[Mask, Mask]:
        """By number, which ended trials are among so many of the best, and which are not."""
        is_good = np.zeros(self._seen, bool)
        is_good[[number for *_, number in self._ranked[:n_below]]] = True
        return is_good, self._is_ranked[: self._seen] & ~is_good

    def _enter(self, trial: FrozenTrial) -> None:
        if trial.state == TrialState.FAIL:
            return
        self.divergence.enter(trial)
        insort(self._ranked, (*self._place(trial), trial.number))
        self._is_ranked[trial.number] = True

    def _place(self, trial: FrozenTrial) -> tuple[int, float, float]:
        if (violation := infeasible_score(trial)) > 0:
            return INFEASIBLE, violation, 0.0
        if trial.user_attrs.get(ends.DIVERGED):
            return DIVERGED, 0.0, 0.0
        if trial.state == TrialState.PRUNED:
            return PRUNED, *pruned_score(trial, self._study)
        value = trial.value
        assert value is not None
        return COMPLETE, -value if self._study.direction == StudyDirection.MAXIMIZE else value, 0.0


class Rows:
    """The hyperparameters of trials as Optuna numbers them inside.

    A trial without some of the names has no row. One that runs is entered again until it has them itself: a
    sampler is told what is drawn together before the trial itself is.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self.search_space = dict(search_space)
        self._rows = np.empty((0, len(search_space)))
        self._is_known = np.zeros(0, bool)
        self._has_all = np.zeros(0, bool)

    def of(
        self, numbers: Numbers, trials: ByNumber, params_of: Callable[[FrozenTrial], Mapping[str, Any]]
    ) -> tuple[Numbers, NDArray[np.float64]]:
        """Which of the trials have all names, and their values: (names, trials), float64."""
        whole = self.whole(numbers, trials, params_of)
        return whole, self.columns(whole)

    def whole(
        self, numbers: Numbers, trials: ByNumber, params_of: Callable[[FrozenTrial], Mapping[str, Any]]
    ) -> Numbers:
        """Which of the trials have all names."""
        self._make_room(numbers.max(initial=-1) + 1)
        for number in numbers[~self._is_known[numbers]]:
            self._enter(trials[number], params_of(trials[number]))
        found: Numbers = numbers[self._has_all[numbers]]
        return found

    def among(
        self, masks: Sequence[Mask], trials: ByNumber, params_of: Callable[[FrozenTrial], Mapping[str, Any]]
    ) -> list[Mask]:
        """The same of trials that are given, and told, by masks."""
        count = len(masks[0])
        self._make_room(count)
        for number in (np.logical_or.reduce(masks) > self._is_known[:count]).nonzero()[0].tolist():
            self._enter(trials[number], params_of(trials[number]))
        has_all = self._has_all[:count]
        return [mask & has_all for mask in masks]

    def columns(self, whole: Numbers) -> NDArray[np.float64]:
        """The values of trials that have all names: (names, trials), float64."""
        return np.ascontiguousarray(self._rows[whole].T)

    def _make_room(self, count: int) -> None:
        if count > len(self._rows):
            self._rows, self._is_known, self._has_all = (
                with_room(each, count) for each in (self._rows, self._is_known, self._has_all)
            )

    def _enter(self, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
        number = trial.number
        self._has_all[number] = self.search_space.keys() <= params.keys()
        self._is_known[number] = trial.state.is_finished() or self.search_space.keys() <= trial.params.keys()
        if self._has_all[number]:
            space = self.search_space
            self._rows[number] = [each.to_internal_repr(params[name]) for name, each in space.items()]


def with_room(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array, or a longer one that begins with it: doubling keeps the cost of a row constant."""
    if count <= len(array):
        return array
    longer = np.zeros((max(count, 2 * len(array)), *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
