"""Optuna's storage in memory, for studies that leave nothing behind; the journal is one, too."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial


class TrialsInMemory(optuna.storages.InMemoryStorage):
    """Trials in memory, to which whole ones can be added without a copy."""

    def enter_running(self, study_id: int, trial: FrozenTrial) -> int:
        """Take over a trial that runs and has its hyperparameters; gives its id.

        `create_new_trial` would copy it with all its distributions, which takes longer than to propose it.
        """
        with self._lock:
            trials = self._studies[study_id].trials
            self._max_trial_id += 1
            trial.number, trial._trial_id = len(trials), self._max_trial_id
            self._trial_id_to_study_id_and_number[self._max_trial_id] = (study_id, trial.number)
            trials.append(trial)
        return self._max_trial_id

    def enter_report(self, trial_id: int, step: int, value: float) -> bool:
        """Add a value to a running trial in place: Optuna copies the trial, and all its values, for each.

        Whether it is new: of two at a step the first one stays.
        """
        with self._lock:
            values = self._get_trial(trial_id).intermediate_values
            is_new = step not in values
            values.setdefault(step, value)
        return is_new


class InMemoryStorage(TrialsInMemory):
    """A journal that is kept nowhere."""

    dirty = False

    def commit(self) -> None:
        """Do nothing: there is no disk to wait for."""

    def close(self) -> None:
        """Do nothing: there is no file to close."""
