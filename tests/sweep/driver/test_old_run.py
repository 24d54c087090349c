"""A run directory that an earlier version wrote, killed with trials running: read, reported and resumed.

tests/data/format-1 holds it: sixteen trials of the line study, ten ended in two sessions, six running.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import analysis
from analysis.report import write
from sweep.api.keeping.remove import plan_removal
from sweep.api.keeping.verify import verify
from sweep.api.show import read_trial
from sweep.api.status import read_status
from sweep.rundir.history import read_history
from tests.sweep.conftest import Folder

DATA = Path(__file__).parents[2] / "data" / "format-1"
RUNNING = {9, 10, 12, 13, 14, 15}
BEST = 6
BEST_VALUE = 5.797038626909057e-09


@pytest.fixture
def old(folder: Folder) -> Folder:
    shutil.copytree(DATA / "run", folder.run_dir)
    shutil.copy(DATA / "study.yaml", folder.study)
    return folder


def test_an_old_run_is_read(old: Folder) -> None:
    history = read_history(old.run_dir)
    assert history.damage == ()
    assert history.unfinished.keys() == RUNNING
    assert len(history.told) == 10
    assert len(history.unfinished[14].reports) == 3
    status = read_status(old.run_dir)
    assert status.best is not None
    assert (status.best.number, status.reports) == (BEST, 66)
    shown = read_trial(old.run_dir, BEST)
    assert (shown.rank, len(shown.checkpoints)) == (1, 1)
    assert len(plan_removal(old.run_dir, keep_best=1).checkpoints) == 1


@pytest.mark.slow
def test_an_old_run_opens_as_tables_and_is_reported(old: Folder) -> None:
    run = analysis.load(old.run_dir)
    assert run.best().value.tolist() == [BEST_VALUE]
    assert run.trials.state.value_counts().to_dict() == {"COMPLETE": 7, "RUNNING": 6, "PRUNED": 3}
    assert len(run.metrics) == 66
    assert sorted(run.checkpoints.trial) == [0, 6, 9, 14]
    assert f"trial {BEST}" in write(old.run_dir).read_text("utf-8")
    assert run.weights(BEST).keys() == {"weight", "bias"}


@pytest.mark.slow
def test_an_old_run_is_resumed(old: Folder) -> None:
    before = analysis.load(old.run_dir)
    ended = before.trials[before.trials.state != "RUNNING"].set_index("number")
    done = old.sweep("run", "study.yaml", "--quiet", "--accept-changed-task")
    assert done.returncode == 0, done.stderr
    after = analysis.load(old.run_dir)
    assert after.trials.number.tolist() == list(range(16))
    assert "RUNNING" not in set(after.trials.state)
    kept = after.trials.set_index("number").loc[ended.index]
    assert kept[["value", "state"]].equals(ended[["value", "state"]])
    assert len(after.sessions) == 3
    resumed = after.metrics[after.metrics.trial == 14]
    assert resumed.examples.is_monotonic_increasing
    assert set(resumed.attempt) == {0, 1}, "trial 14 resumes from its checkpoint"
    assert after.metrics.iloc[: len(before.metrics)].equals(before.metrics)
    assert verify(old.run_dir).sound
    change_an_old_value(old.run_dir / "log.jsonl")
    assert "its lines of format 1 are not those" in verify(old.run_dir).as_text()
    with pytest.warns(analysis.RunWarning, match="its lines of format 1 are not those"):
        analysis.load(old.run_dir)


def change_an_old_value(log: Path) -> None:
    """A digit of a line that has no checksum."""
    data = bytearray(log.read_bytes())
    data[data.index(b'"values":[') + len(b'"values":[')] ^= 1
    log.write_bytes(data)
