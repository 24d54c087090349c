"""What a pruner compares trials by is the same after a kill, whatever Optuna's journal lost."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from sweep.api.keeping.verify import verify
from sweep.driver import driver
from sweep.search.storage import StudyStorage
from tests.sweep.conftest import Folder
from tests.sweep.in_process import run, stop_after, table

pytestmark = [pytest.mark.usefixtures("uncompiled"), pytest.mark.slow]


def seen(folder: Folder) -> list[dict[str, Any]]:
    """What Optuna's journal has of each trial that pruners compare by."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    trials = optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend)).trials
    return [
        {
            "state": trial.state.name,
            "reports": trial.intermediate_values,
            "value": trial.value,
            "rungs": {key: value for key, value in trial.system_attrs.items() if "rung" in key},
        }
        for trial in trials
    ]


def losing_the_journal(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """From the `after`-th commit on Optuna's journal gets nothing more."""
    commit, calls = StudyStorage.commit, 0

    def committing(self: StudyStorage) -> None:
        nonlocal calls
        calls += 1
        if calls < after:
            commit(self)

    monkeypatch.setattr(StudyStorage, "commit", committing)
    monkeypatch.setattr(driver, "COMMIT_EVERY_S", 0.0)


PRUNERS = [
    "median, n_startup_trials: 2",
    "successive_halving, reduction_factor: 2",
    "hyperband, reduction_factor: 2",
]


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_pruner_judges_as_if_nothing_had_been_lost(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, pruner: str
) -> None:
    hard = (("epochs: 3", "epochs: 5"), ("high: 1.0e-1", "high: 3.0"))
    folder.write(("trials: 4}", f"trials: 12}}\npruner: {{name: {pruner}}}"), *hard)
    run(folder)
    whole, compared = table(folder), seen(folder)
    assert {"PRUNED", "COMPLETE"} <= {state for state, _ in whole.values()}
    for at, (commits, kind, count) in enumerate([(1, "told", 6), (9, "told", 6), (9, "report", 22)]):
        folder.run_dir.rename(folder.path / f"before {at}")
        with monkeypatch.context() as patch:
            losing_the_journal(patch, commits)
            stop_after(folder, monkeypatch, kind, count)
        run(folder)
        assert table(folder) == whole, at
        assert seen(folder) == compared, at
    (folder.run_dir / "optuna.journal").unlink()
    assert verify(folder.run_dir, repair=True).sound
    folder.write(("trials: 4}", f"trials: 13}}\npruner: {{name: {pruner}}}"), *hard)
    run(folder)
    assert seen(folder)[:12] == compared
