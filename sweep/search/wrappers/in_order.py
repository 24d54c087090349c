"""What a sampler and a pruner see in a fixed order: the storage as it is for one proposal or one verdict.

For trial n the trials up to n minus the lag are there as they ended, which all had before n was asked. Those
after them run: their hyperparameters are known, not what they report. So nothing that is seen depends on
what arrived first. Where the pruner compares running trials at rungs, a verdict also sees the reports of all
trials before n up to as many examples as its own; the scheduler asks for it once these are there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sweep.search.optuna_internals import COUNT, RUNG_MARK, trial_id

MARKED_AT = "rungs_marked_at"
"""The system attribute that says at how many examples a trial got each of its pruner's marks."""

ANY_NAME = "study"
"""What Hyperband takes for the study's name: from it and a trial's number follows the trial's bracket."""

LATER = (RUNG_MARK, MARKED_AT, "constraints", "terminator:")
"""How system attributes begin that a trial gets after it was asked."""

LATER_OF_OURS = ("reason", "diverged", "replicates")
"""User attributes that a trial gets as it ends."""


class _Moment(NamedTuple):
    """A proposal of trial `number`, or a verdict on it at its report after so many examples."""

    number: int
    examples: int | None


class InOrder:
    """Stands for a storage. Outside a proposal and a verdict all is there as it is."""

    def __init__(self, storage: BaseStorage, name: str, lag: int, *, shows_rungs: bool) -> None:
        """`shows_rungs`: the pruner compares what running trials were at rungs; `name` is the study's."""
        self._behind = storage
        self._name = name
        self._lag = lag
        self._shows_rungs = shows_rungs
        self._moment: _Moment | None = None
        self._asked: dict[int, FrozenTrial] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    @contextmanager
    def proposing(self, number: int) -> Iterator[None]:
        """What is asked of the storage is for the proposal of this trial."""
        with self._at(_Moment(number, None)):
            yield

    @contextmanager
    def judging(self, number: int, examples: int) -> Iterator[None]:
        """What is asked of the storage is for the verdict on this trial at its report there."""
        with self._at(_Moment(number, examples)):
            yield

    @contextmanager
    def _at(self, moment: _Moment) -> Iterator[None]:
        self._moment = moment
        try:
            yield
        finally:
            self._moment = None

    # What samplers and pruners ask

    def get_study_id_from_name(self, name: str) -> int:
        """That of the study, which Hyperband is shown under a name of its own."""
        return self._behind.get_study_id_from_name(self._name if name == ANY_NAME else name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if self._moment is None:
            return self._behind.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        trials = self._behind.get_all_trials(study_id, deepcopy=deepcopy)
        number = self._moment.number
        ended = trials[: max(0, number - self._lag + 1)]
        running = [self._running(each) for each in trials[len(ended) : number]]
        shown = [*ended, *running, *(self._own(each) for each in trials[number : number + 1])]
        return shown if states is None else [each for each in shown if each.state in states]

    def get_trial_system_attrs(self, trial_id: int) -> dict[str, Any]:
        if self._moment is None or self._moment.examples is None:
            return self._behind.get_trial_system_attrs(trial_id)
        return self._own(self._behind.get_trial(trial_id)).system_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Without what a sampler keeps there of results: a kill may take it, so it is found out again."""
        found = self._behind.get_study_system_attrs(study_id)
        if self._moment is None:
            return found
        return {key: value for key, value in found.items() if key.startswith(COUNT)}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if self._moment is not None and self._moment.examples is not None and key.startswith(RUNG_MARK):
            marked = self._behind.get_trial_system_attrs(trial_id).get(MARKED_AT, {})
            if marked.get(key) != self._moment.examples:
                marked = {**marked, key: self._moment.examples}
                self._behind.set_trial_system_attr(trial_id, MARKED_AT, marked)
        self._behind.set_trial_system_attr(trial_id, key, value)

    def own(self, trial_id: int) -> FrozenTrial:
        """The trial that is judged, as its pruner sees it."""
        return self._own(self._behind.get_trial(trial_id))

    # What they see

    def _own(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial itself: while it is judged, with all before the report that is judged, and that."""
        assert self._moment is not None
        if self._moment.examples is None:
            return trial
        return _until(trial, self._moment.examples, marks_before=self._moment.examples)

    def _running(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial that may have ended, as it was when it was asked."""
        assert self._moment is not None
        if self._moment.examples is not None and self._shows_rungs:
            return _until(trial, self._moment.examples, marks_before=self._moment.examples + 1)
        known = self._asked.get(trial.number)
        if known is None or known.params != trial.params:  # it may be resumed before it has them all
            known = self._asked[trial.number] = _as_asked(trial)
            self._asked.pop(trial.number - 2 * self._lag, None)
        return known


def _as_asked(trial: FrozenTrial) -> FrozenTrial:
    return FrozenTrial(
        number=trial.number,
        trial_id=trial_id(trial),
        state=TrialState.RUNNING,
        value=None,
        datetime_start=trial.datetime_start,
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={key: value for key, value in trial.user_attrs.items() if key not in LATER_OF_OURS},
        system_attrs={key: value for key, value in trial.system_attrs.items() if not key.startswith(LATER)},
        intermediate_values={},
    )


def _until(trial: FrozenTrial, examples: int, *, marks_before: int) -> FrozenTrial:
    """The trial while it runs, with its reports up to so many examples and the marks made before so many."""
    found = _as_asked(trial)
    reports = trial.intermediate_values
    found.intermediate_values = {step: value for step, value in reports.items() if step <= examples}
    marked: Mapping[str, int] = trial.system_attrs.get(MARKED_AT, {})
    marks = {key: trial.system_attrs[key] for key, at in marked.items() if at < marks_before}
    found.system_attrs = {**found.system_attrs, **marks}
    return found
