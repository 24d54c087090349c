"""What a study does where its trials break: for a moment, or one after another."""

from __future__ import annotations

import os

import pytest
from typer.testing import CliRunner

from sweep.api.status import read_status
from sweep.cli import app
from sweep.scheduler import faults
from tests.sweep.conftest import Folder
from tests.sweep.in_process import run, table

pytestmark = pytest.mark.usefixtures("without_compiling")


@pytest.fixture
def away(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A study whose data can be away; pauses are short."""
    monkeypatch.setattr(faults, "PAUSE_S", 0.01)
    folder.write(
        ("line.py:Line", "line.py:Away"),
        ("seed: 3", "seed: 3\nfailures: {stop_after: 2}"),
        ("trials: 4}", "trials: 6}"),
    )
    return folder


@pytest.mark.slow
def test_what_is_away_for_a_moment_costs_no_trial(away: Folder) -> None:
    (away.path / "away").write_text(f"{os.getpid()} 2")  # three tries of one trial would fail it
    assert run(away).counts["COMPLETE"] == 6
    log = (away.run_dir / "log.jsonl").read_text()
    assert "is tried again in 0.01 s (1 of 2): " in log


@pytest.mark.slow
def test_where_it_stays_away_the_study_stops_and_resumes_once_it_is_back(away: Folder) -> None:
    (away.path / "away").write_text(f"{os.getpid()} 1000000")
    summary = run(away)
    assert summary.reason == "gave up"
    assert summary.gave_up is not None
    assert "2 trials in a row failed (failures.stop_after). The last: " in summary.gave_up
    assert summary.counts["FAIL"] == 2
    assert read_status(away.run_dir).closed == "gave up"
    invoked = CliRunner().invoke(app, ["run", str(away.study), "--runs", str(away.runs), "--quiet"])
    assert (invoked.exit_code, "Mend the cause, then resume" in invoked.output) == (1, True)
    (away.path / "away").write_text("0 0")
    run(away)
    assert sorted(state for state, _ in table(away).values()) == ["COMPLETE"] * 2 + ["FAIL"] * 4
