"""A study's trials in Optuna's storage: opened, restored, compared with the log, committed.

The storage is Optuna's journal, or another one that the study file names. Either can be read by
optuna-dashboard and `optuna.load_study` while the study runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from sweep.errors import JournalError, SpecError, StaleJournalError
from sweep.search import optuna_internals, space
from sweep.search.ends import DIVERGED, STATES, end_of, outcome_of
from sweep.search.fitted import EDITS, LEFT_OUT, OWN, fitted, kept_notes, marks
from sweep.search.in_memory import InMemoryStorage
from sweep.search.journal import Journal, read_studies
from sweep.search.wrappers.noted import COUNTS
from sweep.spec.edited.edits import Edited
from sweep.spec.edited.fitting import Fitting
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, Scalar, TrialState

WARM_START_TRIALS = "warm_start_trials"

NEVER_ASKED = optuna.samplers.RandomSampler()
"""For studies that propose nothing: Optuna would make a TPE sampler, which takes longer than all the rest."""


class StudyStorage:
    """The trials of one study as Optuna keeps them; nothing here proposes, judges or ends one."""

    def __init__(self, spec: StudySpec, journal: Path | None, edited: Edited | None = None) -> None:
        """`journal` None keeps everything in memory; `edited` says which trials are of another space.

        Raises SpecError, and JournalError where the journal is of the space as it was before an edit.
        """
        self._spec = spec
        self._edited = edited or Edited()
        self._several = len(spec.objective) > 1
        self._own = _own_storage(spec, journal)
        self.backend = self._own if self._own is not None else _named_storage(spec)
        directions = [objective.direction for objective in spec.objective]
        self._study = optuna.create_study(
            study_name=spec.name,
            storage=self.backend,
            sampler=NEVER_ASKED,
            directions=directions,
            load_if_exists=True,
        )
        self._check_edits()
        self._take_waiting()
        self.count = len(self.trials())
        self.left_out = {each.number for each in self.trials() if LEFT_OUT in each.user_attrs}

    count: int
    """How many trials Optuna has: their numbers are below this. Who asks Optuna for one counts it here."""

    left_out: set[int]
    """The numbers of trials that do not fit the space: people see them, samplers do not."""

    @property
    def buffered(self) -> bool:
        """Whether the storage waits for `commit`; others write at once."""
        return self._own is not None

    @property
    def dirty(self) -> bool:
        """Whether a commit has anything to write."""
        return self._own is not None and self._own.dirty

    def commit(self) -> None:
        """Wait until Optuna's journal is on disk."""
        if self._own is not None:
            self._own.commit()

    def close(self) -> None:
        """Close the journal; what was not committed is dropped."""
        if self._own is not None:
            self._own.close()

    def enter_report(self, trial: optuna.Trial, examples: int, value: float) -> None:
        """Enter a report of a live trial, once for each number of examples."""
        if optuna_internals.has_report(trial, examples):
            return
        if self._own is None or trial.storage is not self._own:
            trial.report(value, examples)
            return
        self._own.enter_report(optuna_internals.trial_id(trial), examples, value)
        optuna_internals.note_report(trial, examples, value)

    def enter_report_of(self, trial_id: int, examples: int, value: float) -> None:
        """The same of a trial that nothing was asked of yet; only where this is `buffered`."""
        assert self._own is not None
        self._own.enter_report(trial_id, examples, value)

    def trial_id(self, number: int) -> int:
        """The id of a trial."""
        return self.backend.get_trial_id_from_study_id_trial_number(
            optuna_internals.study_id(self._study), number
        )

    def trials(self, *states: optuna.trial.TrialState) -> list[FrozenTrial]:
        """The trials in these states, all where none is given, in number order; not copied."""
        return self._study.get_trials(deepcopy=False, states=states or None)

    def running(self) -> list[int]:
        """The numbers of trials that were asked and not told."""
        return [trial.number for trial in self.trials(optuna.trial.TrialState.RUNNING)]

    def told(self) -> dict[int, Outcome]:
        """The outcomes of trials that have ended in Optuna, by number."""
        ended = self.trials(*STATES.values())
        return {trial.number: outcome_of(trial) for trial in ended}

    def restore(
        self,
        number: int,
        params: Mapping[str, Scalar],
        notes: Mapping[str, Any],
        values: Sequence[tuple[int, float]],
        outcome: Outcome | None,
        note: Callable[[int], None] | None = None,
    ) -> None:
        """Enter again a trial that the log holds and the journal has lost; numbers go up one by one.

        `notes` is what the sampler wrote down, `values` are (examples, objective) pairs; `note` adds, by the
        trial's id, what the pruner wrote down. Raises ValueError where `number` is not the next one.
        """
        if number != self.count:
            raise ValueError(f"trial {number} cannot be restored: trial {self.count} comes first")
        distributions = space.distributions(self._spec)
        optuna_internals.set_counts(self._study, notes.get(COUNTS, {}))
        fit = self._edited.fits.get(number)
        attributes = {DIVERGED: True} if outcome is not None and outcome.diverged else {}
        if fit is not None:
            attributes |= marks(fit, params)
            params, notes = fit.params, kept_notes(notes)
        running = optuna.trial.TrialState.RUNNING
        state, ended_with = (running, None) if outcome is None else end_of(self._spec, outcome)
        if (
            state == optuna.trial.TrialState.PRUNED
            and values
            and not self._several
            and not isnan(values[-1][1])
        ):
            ended_with = [values[-1][1]]  # as Optuna ends one that is told without a value
        trial = optuna.trial.create_trial(
            state=state if note is None else running,  # what has ended takes no notes
            values=ended_with if note is None else None,
            user_attrs=attributes,
            params=dict(params),
            distributions={name: distributions[name] for name in params},
            system_attrs=dict(notes),
            intermediate_values={} if self._several else dict(values),
            constraints=dict(outcome.constraints) if outcome is not None else None,
        )
        self._add(trial)
        if note is not None:
            trial_id = optuna_internals.trial_id(self.trials()[number])
            note(trial_id)
            if outcome is not None:
                self.backend.set_trial_state_values(trial_id, state, ended_with)

    def enter_asked(self, params: Mapping[str, Scalar], distributions: Mapping[str, BaseDistribution]) -> int:
        """Enter a new trial whose hyperparameters are known, in one record; gives its id.

        Only where this is `buffered`.
        """
        assert self._own is not None
        trial = FrozenTrial(
            number=-1,  # the storage knows it
            trial_id=-1,
            state=optuna.trial.TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=dict(params),
            distributions={name: distributions[name] for name in params},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        self.count += 1
        return self._own.enter_running(optuna_internals.study_id(self._study), trial)

    def check_against(self, params: Mapping[int, Mapping[str, Scalar]], told: Mapping[int, Outcome]) -> None:
        """Compare the journal's trials with the log's, by number, and complete what a kill cut short.

        Raises JournalError where they differ.
        """
        for trial in self.trials():
            if trial.number not in params:
                continue
            fit = self._edited.fits.get(trial.number)
            expected = params[trial.number] if fit is None else fit.params
            outcome = told.get(trial.number)
            missing = expected.keys() - trial.params.keys()
            values = outcome.values if outcome is not None and outcome.state is TrialState.COMPLETE else None
            if (
                any(expected.get(name) != value for name, value in trial.params.items())
                or (missing and trial.state.is_finished())
                or (values and trial.state == STATES[TrialState.COMPLETE] and tuple(trial.values) != values)
            ):
                raise JournalError(
                    f"trial {trial.number} is {trial.params} with values {trial.values} in Optuna's storage, "
                    f"and {dict(expected)} with values {values} in the log"
                )
            self._complete(trial, {name: expected[name] for name in missing})

    def enter_earlier(self, read: Callable[[], Sequence[FrozenTrial]], first: int | None) -> int:
        """Enter the trials of elsewhere, once, with the numbers from 0 on; how many there are.

        `first` is the study's own first trial, where the log has one: what its sources gained since is not
        for it. Raises SpecError where they have lost trials, or it is not known which came since.
        """
        entered: int | None = self._study.user_attrs.get(WARM_START_TRIALS)
        if entered is None:
            earlier = read()
            if len(self._spec.warm_start) == 1:
                earlier = earlier[:first]
            if first is not None and len(earlier) != first:
                what = f"gave {first} trials when the study began, and has {len(earlier)} now"
                raise SpecError([self._spec.document.problem(("warm_start",), what, "", "restore it")])
            for trial in earlier[self.count :]:
                self._add(trial)
            entered = len(earlier)
            self._study.set_user_attr(WARM_START_TRIALS, entered)
            self.commit()
        return entered

    def adopt(self, journal: Path, into: Fitting) -> None:
        """Enter the trials of a journal of the space as it was before an edit, as they are in this one.

        Trials of other runs, which the log does not have, are fitted by `into`. Raises JournalError.
        """
        studies = read_studies(journal)
        if not studies:
            return
        distributions = space.distributions(self._spec)
        study, trials = studies[0]
        for key, value in study.user_attrs.items():
            if key != EDITS:
                self._study.set_user_attr(key, value)
        optuna_internals.set_counts(self._study, study.system_attrs)
        earlier = study.user_attrs.get(WARM_START_TRIALS, 0)
        for trial in trials:
            own = trial.user_attrs.get(OWN, trial.params)
            fit = self._edited.fits.get(trial.number)
            if trial.number < earlier:
                fit = into.fit(own, own)
            if fit is None:
                break  # of a kill between the entry of a point and its ask
            self._add(fitted(trial, fit, own, distributions))

    def _check_edits(self) -> None:
        """A storage that is new says how often the space was edited until then."""
        if not self.trials() and EDITS not in self._study.user_attrs:
            if self._edited.edits:
                self._study.set_user_attr(EDITS, self._edited.edits)
        elif (found := self._study.user_attrs.get(EDITS, 0)) != self._edited.edits:
            self.close()
            raise StaleJournalError(f"it is of a space before {self._edited.edits - found} edits")

    def _add(self, trial: FrozenTrial) -> None:
        self._study.add_trial(trial)
        if LEFT_OUT in trial.user_attrs:
            self.left_out.add(self.count)
        self.count += 1

    def _complete(self, trial: FrozenTrial, missing: Mapping[str, Scalar]) -> None:
        distributions = space.distributions(self._spec) if missing else {}
        for name, distribution in distributions.items():
            if name in missing:
                optuna_internals.set_param(self._study, trial, name, missing[name], distribution)

    def _take_waiting(self) -> None:
        """A kill between the entry of a point and its ask leaves it waiting; it is taken as asked."""
        for trial in self.trials(optuna.trial.TrialState.WAITING):
            trial_id = optuna_internals.trial_id(trial)
            self.backend.set_trial_state_values(trial_id, optuna.trial.TrialState.RUNNING)


def _own_storage(spec: StudySpec, journal: Path | None) -> Journal | InMemoryStorage | None:
    """The storage that waits for `commit`; None where the study file names another one."""
    if journal is None:
        return InMemoryStorage()
    return Journal(journal) if spec.storage is None else None


def _named_storage(spec: StudySpec) -> optuna.storages.BaseStorage:
    """The storage that the study file names. Raises SpecError where it cannot be opened."""
    from sqlalchemy.exc import SQLAlchemyError

    assert spec.storage is not None
    try:
        return optuna.storages.get_storage(spec.storage)
    except (ImportError, ValueError, OSError, optuna.exceptions.OptunaError, SQLAlchemyError) as error:
        what = f"Optuna cannot open {spec.storage}: {str(error).splitlines()[0]}"
        raise SpecError([spec.document.problem(("storage",), what, "")]) from error
