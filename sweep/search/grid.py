"""Optuna's grid sampler that tries every point once, whatever else the study tried: enqueued points count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.search.fitted import was_tried
from sweep.search.optuna_internals import all_trials, enter_grid_point, fixed_params, grid_point, grid_points
from sweep.vocabulary.trial import Scalar


class Grid(optuna.samplers.GridSampler):
    """Gives each trial the first point that none before has.

    Optuna's own takes a trial's number for its point, and does not see the points of trials that were
    enqueued: such points are tried twice, and others never. It also reads all trials at every end.
    """

    def __init__(self, search_space: Mapping[str, Sequence[Scalar]], seed: int | None = None) -> None:
        super().__init__(search_space, seed)
        self._places = {_key(point): place for place, point in enumerate(grid_points(self))}
        self._tried: set[int] = set()
        self._seen = 0
        self._next = 0

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._follow(study, trial.number)
        if grid_point(trial) is not None:
            return
        params = fixed_params(trial)
        point = self._places.get(_key(params)) if params is not None else self._first_left()
        if point is not None:
            self._tried.add(point)
            enter_grid_point(study, trial, self, point)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing: the study counts the points that are left."""

    def _first_left(self) -> int:
        """The first point in the grid's order that was not tried, or any once all were."""
        count = len(self._places)
        while self._next < count and self._next in self._tried:
            self._next += 1
        return self._next % count

    def _follow(self, study: optuna.Study, until: int) -> None:
        """Enter the points of trials that were not looked at before."""
        for trial in all_trials(study)[self._seen : until]:
            if not was_tried(trial):
                continue
            point = grid_point(trial)
            if point is None:
                point = self._places.get(_key(fixed_params(trial) or trial.params))
            if point is not None:
                self._tried.add(point)
        self._seen = max(self._seen, until)


def _key(params: Mapping[str, Scalar]) -> object:
    return tuple((name, type(value), value) for name, value in sorted(params.items()))
