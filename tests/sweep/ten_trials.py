"""What a study of ten trials of six reports leaves, however often it was disturbed."""

from __future__ import annotations

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
from tests.logs import records
from tests.sweep.conftest import Folder


def check_whole(folder: Folder) -> None:
    """Ten trials, each told once, none lost, every row once."""
    loaded = analysis.load(folder.run_dir)
    assert list(loaded.trials.number) == list(range(10))
    assert set(loaded.trials.state) == {"COMPLETE"}, loaded.trials[["number", "state", "reason"]].to_string()
    assert not loaded.metrics.duplicated(["trial", "replicate", "examples"]).any()
    assert len(loaded.metrics) == 60
    storage = JournalStorage(JournalFileBackend(str(folder.run_dir / "optuna.journal")))
    study = optuna.load_study(study_name="line", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 10
    told = [record["trial"] for record in records(folder.run_dir, "told")]
    assert sorted(told) == list(range(10))
