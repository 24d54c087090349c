"""Pruner adapters: what a pruner is shown where Optuna's own record of a trial will not do.

With several objectives it sees the one that it judges, as a study of one direction; nothing goes into the
study's own `intermediate_values`, on which Optuna's samplers fail. The wilcoxon pruner sees the replicates of
a trial at its last boundary beside those of the best trial at the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from runlog.ranking import Candidate, Cost, cost
from sweep.search.optuna_internals import has_report, marks_rungs, prepare_brackets, trial_id
from sweep.search.wrappers.in_order import ANY_NAME, InOrder
from sweep.spec.order import lag_of
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import BoundaryRow


class PrunerAdapter(Protocol):
    """Follows every trial from its ask to its end; numbers go up one by one."""

    def enter(self, number: int) -> None: ...

    def report(self, number: int, row: BoundaryRow) -> None:
        """A boundary; one that was entered before is ignored."""

    def should_prune(self, number: int, examples: int) -> bool:
        """The verdict at the trial's last report, which is at so many examples."""

    def tell(self, number: int, state: TrialState, value: float | None) -> None: ...


def make(spec: StudySpec, pruner: optuna.pruners.BasePruner) -> PrunerAdapter | None:
    """The adapter that this study's pruner needs; None where Optuna's own record does."""
    judged = judged_objective(spec)
    direction = spec.objective[judged].direction
    lag = lag_of(spec)
    if isinstance(pruner, optuna.pruners.WilcoxonPruner):
        return ReplicatesAdapter(pruner, direction, lag)
    if len(spec.objective) > 1 and spec.pruner.name != "none":
        return SingleObjectiveAdapter(spec.name, pruner, direction, lag)
    return None


def judged_objective(spec: StudySpec) -> int:
    """Which objective the pruner judges by."""
    metrics = [objective.metric for objective in spec.objective]
    return metrics.index(spec.pruner.metric) if spec.pruner.metric is not None else 0


class SingleObjectiveAdapter:
    """A study in memory whose trials have the numbers of the real ones, and one objective."""

    def __init__(
        self, name: str, pruner: optuna.pruners.BasePruner, direction: str, lag: int | None = None
    ) -> None:
        storage = InMemoryStorage()
        self._in_order = None if lag is None else InOrder(storage, name, lag, shows_rungs=marks_rungs(pruner))
        self._study = optuna.create_study(
            study_name=name, storage=self._in_order or storage, pruner=pruner,  # type: ignore[arg-type]
            direction=_direction(direction), sampler=optuna.samplers.RandomSampler(seed=0),
        )  # fmt: skip
        if self._in_order is not None:
            prepare_brackets(self._study)
            self._study.study_name = ANY_NAME
        self._trials: dict[int, optuna.Trial] = {}

    def enter(self, number: int) -> None:
        trial = self._study.ask()
        assert trial.number == number, "trials are entered in number order"
        self._trials[number] = trial

    def report(self, number: int, row: BoundaryRow) -> None:
        examples, values = row
        trial = self._trials[number]
        if not has_report(trial, examples):
            trial.report(sum(values) / len(values), examples)

    def should_prune(self, number: int, examples: int) -> bool:
        trial = self._trials[number]
        if self._in_order is None:
            return trial.should_prune()
        with self._in_order.judging(number, examples):
            return self._study.pruner.prune(self._study, self._in_order.own(trial_id(trial)))

    def tell(self, number: int, state: TrialState, value: float | None) -> None:
        trial = self._trials.pop(number, None)
        if trial is not None:
            ended = value if state is TrialState.COMPLETE else None
            self._study.tell(trial, ended, state=state)


class ReplicatesAdapter:
    """The rows of live trials and of those that are, or in a fixed order may be, the best complete one."""

    def __init__(self, pruner: optuna.pruners.WilcoxonPruner, direction: str, lag: int | None = None) -> None:
        self._pruner = pruner
        self._direction = direction
        self._lag = lag
        self.direction = _direction(direction)
        self._rows: dict[int, dict[int, tuple[float, ...]]] = {}
        self._complete: list[tuple[Cost, int]] = []
        self._best: int | None = None
        self._boundary = 0

    @property
    def best_trial(self) -> optuna.trial.FrozenTrial:
        """The best trial at the boundary that is judged; asked for by the pruner.

        Raises ValueError where there is none.
        """
        rows = self._rows[self._best] if self._best is not None else {}
        if self._boundary not in rows:
            raise ValueError("no complete trial has reached this boundary")
        return _frozen(rows[self._boundary])

    def enter(self, number: int) -> None:
        self._rows[number] = {}

    def report(self, number: int, row: BoundaryRow) -> None:
        examples, values = row
        self._rows[number][examples] = values

    def should_prune(self, number: int, examples: int) -> bool:
        rows = self._rows[number]
        if not rows:
            return False
        self._boundary = examples
        self._best = self._best_for(number)
        study = cast(optuna.Study, self)  # of a study the pruner asks for its direction and its best trial
        return self._pruner.prune(study, _frozen(rows[self._boundary]))

    def _best_for(self, number: int) -> int | None:
        """The best complete trial; in a fixed order of those that had ended when the trial was asked."""
        seen = number if self._lag is None else number - self._lag
        known = (each for each in self._complete if self._lag is None or each[1] <= seen)
        return min(known, default=(None, None))[1]

    def tell(self, number: int, state: TrialState, value: float | None) -> None:
        if any(number == known for _, known in self._complete):
            return  # told again after a kill
        values = None if value is None else (value,)
        found = cost(Candidate(number, values, state.name), [self._direction])
        if found is None or number not in self._rows:
            self._rows.pop(number, None)
            return
        self._complete.append((found, number))
        if self._lag is None:
            best = min(self._complete)
            for _, other in self._complete:
                if other != best[1]:
                    del self._rows[other]
            self._complete = [best]


def _direction(word: str) -> StudyDirection:
    return StudyDirection.MINIMIZE if word == "minimize" else StudyDirection.MAXIMIZE


def _frozen(values: Sequence[float]) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        state=TrialState.RUNNING, intermediate_values=dict(enumerate(values)), params={}, distributions={}
    )
