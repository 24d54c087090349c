"""A study in a storage other than the journal."""

from __future__ import annotations

import optuna
import pytest

from sweep.driver.driver import Driver
from sweep.errors import SpecError
from tests.sweep.conftest import Folder
from tests.sweep.in_process import run, stop_after, table

pytestmark = pytest.mark.usefixtures("uncompiled")


def in_database(folder: Folder, *changes: tuple[str, str]) -> str:
    url = f"sqlite:///{folder.path}/study.db"
    folder.write(*changes)
    folder.study.write_text(folder.study.read_text() + f"storage: {url}\n")
    return url


@pytest.mark.slow
def test_a_study_lives_in_any_storage_of_optuna_and_has_no_journal(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    url = in_database(folder)
    run(folder)
    assert table(folder) == table(undisturbed)
    theirs = optuna.load_study(study_name="line", storage=url)
    assert {trial.number: ("COMPLETE", trial.value) for trial in theirs.trials} == table(folder)
    assert not (folder.run_dir / "optuna.journal").exists()


@pytest.mark.slow
@pytest.mark.parametrize("event", ["asked", "report", "told"])
def test_a_study_in_a_database_goes_on_after_a_kill(
    folder: Folder,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    url = in_database(folder)
    stop_after(folder, monkeypatch, event, 2)
    run(folder)
    assert table(folder) == table(undisturbed)
    states = [trial.state.name for trial in optuna.load_study(study_name="line", storage=url).trials]
    assert states == ["COMPLETE"] * 4


@pytest.mark.slow
def test_the_log_is_on_disk_before_a_database_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_database(folder)
    tell, seen = Driver._tell, []

    def telling(self: Driver, outcome: object) -> None:
        seen.append(self._run.dirty)
        tell(self, outcome)  # type: ignore[arg-type]

    monkeypatch.setattr(Driver, "_tell", telling)
    run(folder)
    assert seen == [False] * 4


def test_a_storage_that_cannot_be_opened_is_named_with_its_line(folder: Folder) -> None:
    folder.write()
    folder.study.write_text(folder.study.read_text() + "storage: sqlite:////nowhere/at/all/study.db\n")
    with pytest.raises(SpecError, match=r"study.yaml:14: storage: Optuna cannot open sqlite"):
        run(folder)
