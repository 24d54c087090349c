"""Optuna: ask, record, judge, tell, and take up again what a killed run left.

The storage is Optuna's journal, or another one that the study file names; either can be read by
optuna-dashboard and `optuna.load_study` while the study runs.
Which modules import Optuna is held by a contract in pyproject.toml.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.study._tell import _tell_with_warning

from sweep.errors import JournalError, SpecError
from sweep.search import pruner_views, pruners, samplers, space, terminators, warm_start
from sweep.search.in_memory import Memory
from sweep.search.journal import Journal
from sweep.spec.conditions import dependency_order
from sweep.spec.schema import FloatRange, StudySpec
from sweep.vocabulary.trial import BoundaryRow, Length, Outcome, Scalar, TrialState

STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAIL: optuna.trial.TrialState.FAIL,
}


WARM_START_TRIALS = "warm_start_trials"


@dataclass(frozen=True)
class Proposal:
    """What Optuna suggested for one trial; conditional entries that do not apply are absent.

    `notes` is what the sampler wrote down for itself, to be given back should the journal lose it.
    """

    number: int
    suggested: Mapping[str, Scalar]
    notes: Mapping[str, Any]


class _Study(optuna.Study):
    """A study that is asked and told: a sampler's `stop` means that it has nothing further to propose."""

    exhausted = False

    def stop(self) -> None:
        self.exhausted = True


class Study:
    """One sampler object and one pruner object for a study's whole session."""

    def __init__(self, spec: StudySpec, journal: Path | None, length: Length) -> None:
        """`journal` None keeps everything in memory."""
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._spec = spec
        self._multi = len(spec.objective) > 1
        self._journal = _own_storage(spec, journal)
        storage = self._journal if self._journal is not None else _named_storage(spec)
        directions = [objective.direction for objective in spec.objective]
        optuna.create_study(study_name=spec.name, storage=storage, directions=directions, load_if_exists=True)
        pruner = pruners.make(spec, length)
        self.rungs = pruners.rungs(pruner, length)
        self._view = pruner_views.make(spec, pruner)
        self._study = _Study(
            spec.name, storage, pruner=pruner if self._view is None else optuna.pruners.NopPruner()
        )
        self._take_waiting()
        self._known = len(self._study.get_trials(deepcopy=False))
        self._given = self._enter_warm_start()
        self._study.sampler = samplers.make(spec, **self._source_trials())
        self._grid_size = samplers.grid_size(spec)
        self._terminator = terminators.make(spec)
        self._order = dependency_order(spec.space)
        self._trials: dict[int, optuna.Trial] = {}

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has nothing further to propose."""
        if self._grid_size is None:
            return self._study.exhausted
        return self.known() - self._given - len(self._spec.enqueue) >= self._grid_size

    @property
    def follows_reports(self) -> bool:
        """Whether told trials must be entered again with `follow` when a study is taken up."""
        return self._view is not None

    def follow(self, number: int, rows: Sequence[BoundaryRow], outcome: Outcome | None) -> None:
        """Show the pruner a trial of an earlier session; numbers go up one by one, from 0."""
        assert self._view is not None
        self._view.enter(number)
        for row in rows:
            self._view.report(number, row)
            self._view.should_prune(number)  # what it notes at each boundary is compared with later
        if outcome is not None:
            self._tell_view(outcome)

    def should_terminate(self) -> bool:
        """Whether the study's terminator holds that further trials will not pay."""
        return self._terminator is not None and self._terminator.should_terminate(self._study)

    def ask(self, count: int) -> list[Proposal]:
        """Up to `count` proposals; fewer once the sampler is exhausted."""
        proposals = []
        for _ in range(count):
            if self.exhausted:
                break
            proposals.append(self._ask())
        return proposals

    def running(self) -> list[Proposal]:
        """Trials asked and never told, oldest first; one without all hyperparameters is asked again."""
        states = (optuna.trial.TrialState.RUNNING,)
        frozen = self._study.get_trials(deepcopy=False, states=states)
        return [self._suggest(optuna.Trial(self._study, trial._trial_id)) for trial in frozen]

    def known(self) -> int:
        """How many trials Optuna knows: their numbers are below this."""
        return self._known

    def restore(
        self,
        number: int,
        suggested: Mapping[str, Scalar],
        notes: Mapping[str, Any],
        values: Sequence[tuple[int, float]],
        outcome: Outcome | None,
    ) -> None:
        """Enter again a trial that the log holds and the journal has lost; numbers go up one by one.

        `notes` is what the sampler wrote down, `values` are (examples, objective) pairs. Raises ValueError
        where `number` is not the next one.
        """
        if number != self.known():
            raise ValueError(f"trial {self.known()} must come first, got {number}")
        distributions = space.distributions(self._spec)
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING if outcome is None else STATES[outcome.state],
            values=list(outcome.values) if outcome is not None and outcome.values else None,
            params=dict(suggested),
            distributions={name: distributions[name] for name in suggested},
            system_attrs=dict(notes),
            intermediate_values={} if self._multi else dict(values),
            constraints=dict(outcome.constraints) if outcome is not None else None,
        )
        self._study.add_trial(trial)
        self._known += 1

    def told(self) -> dict[int, Outcome]:
        """What Optuna knows to be finished, by number."""
        ends = {theirs: ours for ours, theirs in STATES.items()}
        frozen = self._study.get_trials(deepcopy=False, states=tuple(ends))
        return {
            trial.number: Outcome(trial.number, ends[trial.state], tuple(trial.values or ()) or None)
            for trial in frozen
        }

    def check_against(self, params: Mapping[int, Mapping[str, Scalar]], told: Mapping[int, Outcome]) -> None:
        """Hold the journal's trials against the log's, by number, and complete what a kill cut short.

        Raises JournalError where they are not the same.
        """
        for trial in self._study.get_trials(deepcopy=False):
            expected = params.get(trial.number)
            if expected is None:
                continue
            outcome = told.get(trial.number)
            missing = expected.keys() - trial.params.keys()
            values = outcome.values if outcome is not None and outcome.state is TrialState.COMPLETE else None
            if (
                any(expected.get(name) != value for name, value in trial.params.items())
                or (missing and trial.state.is_finished())
                or (values and trial.state == STATES[TrialState.COMPLETE] and tuple(trial.values) != values)
            ):
                raise JournalError(
                    f"trial {trial.number} must be as the log has it, {dict(expected)} with values {values}; "
                    f"found {trial.params} with {trial.values}"
                )
            self._complete(trial, {name: expected[name] for name in missing})

    def _complete(self, trial: optuna.trial.FrozenTrial, missing: Mapping[str, Scalar]) -> None:
        distributions = space.distributions(self._spec) if missing else {}
        for name, distribution in distributions.items():
            if name in missing:
                value = distribution.to_internal_repr(missing[name])
                self._study._storage.set_trial_param(trial._trial_id, name, value, distribution)

    def report(self, number: int, row: BoundaryRow) -> None:
        """Enter an objective at a boundary; with several objectives Optuna's samplers take none."""
        trial = self._trials[number]
        examples, values = row
        value = sum(values) / len(values)
        if self._view is not None:
            self._view.report(number, row)
        if not self._multi and examples not in trial._cached_frozen_trial.intermediate_values:
            trial.report(value, examples)

    def should_prune(self, number: int) -> bool:
        if self._view is not None:
            return self._view.should_prune(number)
        return self._trials[number].should_prune()

    def tell(self, outcome: Outcome) -> None:
        """End a trial, unless that was done before a kill."""
        trial = self._trials.pop(outcome.number, None)
        values = list(outcome.values) if outcome.state is TrialState.COMPLETE and outcome.values else None
        target = trial if trial is not None else outcome.number
        if outcome.reason is not None and trial is not None:
            trial.set_user_attr("reason", outcome.reason.splitlines()[0])
        if trial is not None:
            self._note(trial, outcome)
        # As `Study.tell`, which copies the whole trial once more for whom it returns it to.
        _tell_with_warning(self._study, target, values, STATES[outcome.state], skip_if_finished=True)
        if self._view is not None:
            self._tell_view(outcome)

    def _note(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """What samplers, terminators and readers of the journal want to know beside the values."""
        known = trial.constraints if outcome.constraints else {}
        for name, excess in outcome.constraints.items():
            if name not in known:
                trial.set_constraint(name, excess)
        if outcome.replicates:
            trial.set_user_attr("replicates", outcome.replicates)
            terminators.note_replicates(trial, outcome.replicates[0])

    def _tell_view(self, outcome: Outcome) -> None:
        assert self._view is not None
        value = outcome.values[pruner_views.judged_objective(self._spec)] if outcome.values else None
        self._view.tell(outcome.number, STATES[outcome.state], value)

    @property
    def dirty(self) -> bool:
        """Whether a commit would have anything to do."""
        return self._journal is not None and self._journal.dirty

    @property
    def buffered(self) -> bool:
        """Whether Optuna's storage waits for `commit`; others write whatever they are told at once."""
        return self._journal is not None

    def commit(self) -> None:
        """Wait until Optuna's journal is on disk."""
        if self._journal is not None:
            self._journal.commit()

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def _ask(self) -> Proposal:
        number = self.known()
        samplers.reseed(self._study.sampler, self._spec.seed, number)
        if (point := self._point(number)) is not None:
            self._study.enqueue_trial(point)
        if self._view is not None:
            self._view.enter(number)
        trial = self._study.ask()
        self._known += 1
        extends = self._spec.extends
        if extends is not None and number < len(extends.trials):
            trial.set_user_attr("extends", {"run": extends.run, "trial": extends.trials[number]})
        return self._suggest(trial)

    def _suggest(self, trial: optuna.Trial) -> Proposal:
        """Suggest what is not yet suggested: on a trial taken up again its own values come back."""
        self._trials[trial.number] = trial
        suggested = space.suggest_all(trial, self._spec, self._order)
        notes = trial.storage.get_trial(trial._trial_id).system_attrs
        return Proposal(trial.number, suggested, notes)

    def _point(self, number: int) -> dict[str, Scalar] | None:
        """The point of `enqueue` that this trial is to try; the first trials try them in order."""
        index = number - self._given
        if not 0 <= index < len(self._spec.enqueue):
            return None
        whole = {name for name, entry in self._spec.space.items() if isinstance(entry, FloatRange)}
        point = self._spec.enqueue[index].items()
        return {name: float(value) if name in whole else value for name, value in point}  # type: ignore[arg-type]

    def _take_waiting(self) -> None:
        """A kill between the entry of a point and its ask leaves it waiting; it is taken as asked."""
        for trial in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            self._study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.RUNNING)

    def _enter_warm_start(self) -> int:
        """The trials of the earlier run come first, with the numbers from 0 on; how many there are."""
        if self._spec.warm_start is None:
            return 0
        entered: int | None = self._study.user_attrs.get(WARM_START_TRIALS)
        if entered is None:
            earlier = warm_start.read(self._spec)
            for trial in earlier[self.known() :]:
                self._study.add_trial(trial)
                self._known += 1
            entered = len(earlier)
            self._study.set_user_attr(WARM_START_TRIALS, entered)
            self.commit()
        return entered

    def _source_trials(self) -> dict[str, object]:
        given = self._study.get_trials(deepcopy=False)[: self._given]
        return warm_start.source_trials(self._spec, given) if given else {}


def _own_storage(spec: StudySpec, journal: Path | None) -> Journal | Memory | None:
    """The storage that waits for `commit`; None where the study file names another one."""
    if journal is None:
        return Memory()
    return Journal(journal) if spec.storage is None else None


def _named_storage(spec: StudySpec) -> optuna.storages.BaseStorage:
    """The storage that the study file names. Raises SpecError where it cannot be opened."""
    from sqlalchemy.exc import SQLAlchemyError

    assert spec.storage is not None
    try:
        return optuna.storages.get_storage(spec.storage)
    except (ImportError, ValueError, OSError, optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        rule = f"must be a storage that Optuna can open: {str(error).splitlines()[0]}"
        raise SpecError([spec.document.problem(("storage",), rule, spec.storage)]) from error
