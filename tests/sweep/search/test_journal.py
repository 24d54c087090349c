"""Optuna's own tests of storages, on the journal in memory and on what a reader of its file sees."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial, TrialState

from sweep.search.journal import Journal


class ReadBack(Journal):
    """Answers from its file, read by Optuna's own backend, whatever is asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def reader(self) -> JournalStorage:
        self.commit()
        return JournalStorage(JournalFileBackend(str(self.path)))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self.reader.get_all_trials(study_id, deepcopy, states)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.reader.get_trial(trial_id)

    def get_all_studies(self) -> list[optuna.study._frozen.FrozenStudy]:
        return self.reader.get_all_studies()


class TestJournal(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        journal = Journal(tmp_path / "optuna.journal")
        yield journal
        journal.close()


class TestWhatReadersSee(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        journal = ReadBack(tmp_path / "optuna.journal")
        yield journal
        journal.close()


def fill(journal: Journal) -> optuna.Study:
    study = optuna.create_study(study_name="one", storage=journal)
    for number in range(4):
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1) + trial.suggest_categorical("k", [1, 2])
        trial.report(value, 1)
        trial.set_user_attr("reason", "none")
        if number:
            study.tell(trial, value)
    return study


def test_a_journal_opened_again_gives_the_same_trials_and_goes_on_under_the_same_ids(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    optuna.delete_study(study_name=optuna.create_study(storage=journal).study_name, storage=journal)
    before = fill(journal).trials
    journal.commit()
    journal.close()
    again = Journal(tmp_path / "journal")
    study = optuna.load_study(study_name="one", storage=again)
    assert study.trials == before
    study.ask()
    optuna.create_study(study_name="two", storage=again).ask()
    again.commit()
    reader = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    theirs = {each.study_name: each._study_id for each in reader.get_all_studies()}
    assert theirs == {each.study_name: each._study_id for each in again.get_all_studies()}
    for study_id in theirs.values():
        assert reader.get_all_trials(study_id) == again.get_all_trials(study_id)
    again.close()


def test_what_is_not_committed_is_not_in_the_file_and_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    fill(journal)
    assert path.read_bytes() == b""
    journal.commit()
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    again = Journal(path)
    assert optuna.load_study(study_name="one", storage=again).trials[3].state == TrialState.RUNNING
    again.set_study_user_attr(0, "key", 1)
    again.commit()
    again.close()
    reader = JournalStorage(JournalFileBackend(str(path)))
    assert reader.get_study_user_attrs(0) == {"key": 1}


def test_what_is_entered_uncopied_is_what_optunas_way_leaves(tmp_path: Path) -> None:
    """In the file and in memory, but for when trials began."""
    seen = []
    for uncopied in (False, True):
        path = tmp_path / str(uncopied)
        journal = Journal(path)
        study = optuna.create_study(study_name="one", storage=journal)
        for _ in range(2):
            trial = optuna.trial.create_trial(
                state=TrialState.RUNNING,
                params={"x": 0.5, "kind": "b"},
                distributions={
                    "x": optuna.distributions.FloatDistribution(0.0, 1.0),
                    "kind": optuna.distributions.CategoricalDistribution(["a", "b"]),
                },
            )
            enter = journal.enter_running if uncopied else journal.create_new_trial
            trial_id = enter(study._study_id, trial)
            report = journal.enter_report if uncopied else journal.set_trial_intermediate_value
            for step, value in ((1, 0.1), (2, math.nan), (10, -math.inf), (11, 1e-7)):
                report(trial_id, step, value)
        journal.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
        journal.commit()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line.pop("datetime_start", None), line.pop("datetime_complete", None)
        trials = [(each.number, each.params, repr(each.intermediate_values)) for each in study.trials]
        seen.append((repr(lines), trials))
        journal.close()
    assert seen[0] == seen[1]
