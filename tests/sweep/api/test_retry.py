"""Failed trials asked again: with their own hyperparameters, outside the budget, on a grid too."""

from __future__ import annotations

import os
import re

import pytest
from typer.testing import CliRunner

import analysis
import sweep
from sweep.cli import app
from sweep.errors import RunDirError
from tests.sweep.conftest import Folder
from tests.sweep.in_process import kill_at, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_compiling")]


GRID = (
    ("line.py:Line", "line.py:Away"),
    ("learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}", "learning_rate: {choices: [0.01, 0.1]}"),
    ("{name: random}", "{name: grid}\nfailures: {retry: 0, stop_after: null}"),
)


@pytest.fixture
def failed(folder: Folder) -> Folder:
    """A grid of four points, of which trials 0 and 1 failed."""
    folder.write(*GRID)
    (folder.path / "away").write_text(f"{os.getpid()} 2")
    assert run(folder).counts == {"COMPLETE": 2, "PRUNED": 0, "FAIL": 2, "RUNNING": 0}
    assert run(folder).reason == "finished before"
    return folder


def test_failed_points_of_a_grid_are_tried_again(failed: Folder) -> None:
    assert sweep.retry(failed.run_dir).trials == (0, 1)
    assert sweep.retry(failed.run_dir).trials == ()
    summary = run(failed)
    assert summary.counts == {"COMPLETE": 4, "PRUNED": 0, "FAIL": 2, "RUNNING": 0}
    trials = analysis.load(failed.run_dir).trials.set_index("number")
    assert trials["retries"].dropna().to_dict() == {4: 0, 5: 1}
    params = ["params_learning_rate", "params_accumulation_steps"]
    assert trials[params].loc[[4, 5]].to_numpy().tolist() == trials[params].loc[[0, 1]].to_numpy().tolist()
    assert len(trials[trials.state == "COMPLETE"][params].drop_duplicates()) == 4
    assert run(failed).reason == "finished before"


def test_failed_points_that_an_edited_space_has_no_more_are_not_tried_again(
    failed: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = analysis.load(failed.run_dir).trials
    first, second = (before.params_learning_rate[number] for number in (0, 1))
    steps = before.params_accumulation_steps.tolist()
    dropped = ("[0.01, 0.1]", f"[{second}, 0.05]") if first != second else ("[1, 2]", f"[{steps[1]}, 4]")
    assert sweep.retry(failed.run_dir).trials == (0, 1)
    failed.write(*GRID, dropped)
    run(failed)
    assert "not tried again, as they do not fit: trials 0" in capsys.readouterr().err
    trials = analysis.load(failed.run_dir).trials.set_index("number")
    assert trials["retries"].dropna().to_dict() == {4: 1}
    tried = trials[trials.state == "COMPLETE"][["params_learning_rate", "params_accumulation_steps"]]
    assert len(tried.drop_duplicates()) == len(tried) == 4


def test_a_kill_before_the_trial_is_recorded_asks_it_once(
    failed: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.search.storage import StudyStorage
    from tests.sweep.in_process import Killed

    sweep.retry(failed.run_dir, [1])
    with monkeypatch.context() as patch:
        kill_at(patch, StudyStorage, "commit", 2, after=True)
        with pytest.raises(Killed):
            run(failed)
    run(failed)
    trials = analysis.load(failed.run_dir).trials.set_index("number")
    assert trials["retries"].dropna().to_dict() == {4: 1}
    assert trials.state.value_counts().to_dict() == {"COMPLETE": 3, "FAIL": 2}


def test_only_failed_trials_can_be_named(failed: Folder) -> None:
    invoked = CliRunner().invoke(app, ["retry", str(failed.run_dir), "0"])
    assert (
        invoked.output
        == f"{failed.run_dir}: trials 0 are asked again. Run the study's own command to train them\n"
    )
    for number, why in ((0, "is asked again already"), (2, "ended COMPLETE"), (7, "is not there")):
        with pytest.raises(RunDirError, match=re.escape(f"trial {number} {why}")):
            sweep.retry(failed.run_dir, [number])
    assert CliRunner().invoke(app, ["retry", str(failed.run_dir)]).exit_code == 2
