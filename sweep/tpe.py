"""Optuna's TPE, with each ended trial's hyperparameters turned into numbers once instead of at every ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial


class TPESampler(optuna.samplers.TPESampler):
    """Proposes what Optuna's proposes, bit for bit, in less time the more trials there are."""

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, NDArray[np.float64]]:
        kept: dict[tuple[str, ...], _Ended] = self.__dict__.setdefault("_ended", {})
        names = tuple(search_space)
        if names not in kept or kept[names].search_space != search_space:
            kept[names] = _Ended(search_space)
        ended = kept[names]
        numbers = np.fromiter((trial.number for trial in trials), np.int64, len(trials))
        ended.make_room(max(numbers, default=-1) + 1)
        for index in np.flatnonzero(~ended.is_known[numbers]):
            ended.enter(trials[index], self._get_params(trials[index], study))
        rows = ended.rows[numbers[ended.has_all[numbers]]]
        return dict(zip(names, np.ascontiguousarray(rows.T), strict=True))


class _Ended:
    """The hyperparameters of trials as Optuna numbers them inside: `rows` is (trials, names), by number.

    A trial without some of the names has no row. One that runs is entered anew each time: it may yet be
    given hyperparameters, and a sampler is told its relative ones before the trial itself is.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self.search_space = dict(search_space)
        self.rows = np.empty((0, len(search_space)))
        self.is_known = np.zeros(0, bool)
        self.has_all = np.zeros(0, bool)

    def make_room(self, count: int) -> None:
        """Hold trials of numbers below `count`; doubling keeps the cost of a trial constant."""
        if count <= len(self.rows):
            return
        more = max(count, 2 * len(self.rows)) - len(self.rows)
        self.rows = np.concatenate([self.rows, np.empty((more, len(self.search_space)))])
        self.is_known = np.concatenate([self.is_known, np.zeros(more, bool)])
        self.has_all = np.concatenate([self.has_all, np.zeros(more, bool)])

    def enter(self, trial: FrozenTrial, params: Mapping[str, object]) -> None:
        number = trial.number
        self.has_all[number] = self.search_space.keys() <= params.keys()
        self.is_known[number] = trial.state.is_finished()
        if self.has_all[number]:
            self.rows[number] = _internal(self.search_space, params)


def _internal(search_space: Mapping[str, BaseDistribution], params: Mapping[str, object]) -> Sequence[float]:
    return [distribution.to_internal_repr(params[name]) for name, distribution in search_space.items()]
