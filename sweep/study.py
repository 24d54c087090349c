"""Optuna: ask, record, judge, tell, and take up again what a killed run left.

The storage is Optuna's journal, readable by optuna-dashboard and `optuna.load_study` while the study runs.
Only this module, `space` and `journal` import Optuna.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage

from sweep import pruners, samplers, space
from sweep.journal import GroupCommitBackend
from sweep.schema import StudySpec
from sweep.trial import Length, Outcome, Scalar, TrialState

STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAIL: optuna.trial.TrialState.FAIL,
}


@dataclass(frozen=True)
class Proposal:
    """What Optuna suggested for one trial; conditional entries that do not apply are absent."""

    number: int
    suggested: Mapping[str, Scalar]


class _Study(optuna.Study):
    """A study that is asked and told: a sampler's `stop` means that it has nothing further to propose."""

    exhausted = False

    def stop(self) -> None:
        self.exhausted = True


class Study:
    """One sampler object and one pruner object for a study's whole session."""

    def __init__(self, spec: StudySpec, journal: Path, length: Length) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._spec = spec
        self._multi = len(spec.objective) > 1
        self._journal = GroupCommitBackend(journal)
        storage = JournalStorage(self._journal)
        directions = [objective.direction for objective in spec.objective]
        optuna.create_study(study_name=spec.name, storage=storage, directions=directions, load_if_exists=True)
        self._study = _Study(
            spec.name, storage, sampler=samplers.make(spec), pruner=pruners.make(spec, length)
        )
        self._grid_size = samplers.grid_size(spec)
        self._trials: dict[int, optuna.Trial] = {}

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has nothing further to propose."""
        whole_grid = self._grid_size is not None and self.known() >= self._grid_size
        return self._study.exhausted or whole_grid

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
        return len(self._study.get_trials(deepcopy=False))

    def restore(
        self,
        number: int,
        suggested: Mapping[str, Scalar],
        values: Sequence[tuple[int, float]],
        outcome: Outcome | None,
    ) -> None:
        """Enter again a trial that the log holds and the journal has lost; numbers go up one by one.

        `values` are (examples, objective) pairs. Raises ValueError where `number` is not the next one.
        """
        if number != self.known():
            raise ValueError(f"trial {self.known()} must come first, got {number}")
        distributions = space.distributions(self._spec)
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING if outcome is None else STATES[outcome.state],
            values=list(outcome.values) if outcome is not None and outcome.values else None,
            params=dict(suggested),
            distributions={name: distributions[name] for name in suggested},
            intermediate_values={} if self._multi else dict(values),
        )
        self._study.add_trial(trial)

    def told(self) -> dict[int, Outcome]:
        """What Optuna knows to be finished, by number."""
        ends = {theirs: ours for ours, theirs in STATES.items()}
        frozen = self._study.get_trials(deepcopy=False, states=tuple(ends))
        return {
            trial.number: Outcome(trial.number, ends[trial.state], tuple(trial.values or ()) or None)
            for trial in frozen
        }

    def report(self, number: int, examples: int, value: float) -> None:
        """Enter an objective's value at a boundary; with several objectives Optuna's samplers take none."""
        trial = self._trials[number]
        if not self._multi and examples not in trial._cached_frozen_trial.intermediate_values:
            trial.report(value, examples)

    def should_prune(self, number: int) -> bool:
        return not self._multi and self._trials[number].should_prune()

    def tell(self, outcome: Outcome) -> None:
        """End a trial, unless that was done before a kill."""
        trial = self._trials.pop(outcome.number, None)
        values = list(outcome.values) if outcome.state is TrialState.COMPLETE and outcome.values else None
        target = trial if trial is not None else outcome.number
        if outcome.reason is not None and trial is not None:
            trial.set_user_attr("reason", outcome.reason.splitlines()[0])
        self._study.tell(target, values, state=STATES[outcome.state], skip_if_finished=True)

    def commit(self) -> None:
        """Wait until Optuna's journal is on disk."""
        self._journal.commit()

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _ask(self) -> Proposal:
        number = len(self._study.get_trials(deepcopy=False))
        samplers.reseed(self._study.sampler, self._spec.seed, number)
        return self._suggest(self._study.ask())

    def _suggest(self, trial: optuna.Trial) -> Proposal:
        """Suggest what is not yet suggested: on a trial taken up again its own values come back."""
        self._trials[trial.number] = trial
        return Proposal(trial.number, space.suggest_all(trial, self._spec))
