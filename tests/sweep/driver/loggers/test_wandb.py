"""Weights & Biases: the real client, online against a server on loopback, offline read by `wandb sync`."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run_dirs import accuracy, open_run, plan
from tests.sweep.driver.loggers.fake_wandb import KEY, FakeRun, FakeWandb
from tests.sweep.driver.loggers.fed import begun, continued, follow

pytestmark = pytest.mark.slow


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWandb]:
    made = FakeWandb()
    monkeypatch.setenv("WANDB_BASE_URL", made.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield made
    made.close()


def by_name(server: FakeWandb) -> dict[str, FakeRun]:
    assert len({run.name for run in server.runs.values()}) == len(server.runs)
    return {run.name: run for run in server.runs.values()}


def agree(server: FakeWandb) -> None:
    """All that the two sessions recorded is there, each thing once."""
    runs = by_name(server)
    assert runs.keys() == {"study", "trial-00000", "trial-00001", "trial-00002", "trial-00003"}
    assert {run.group for run in runs.values()} == {"study"}
    points = [(row["examples"], row["acc_at_5"]) for row in runs["trial-00000"].history]
    assert points == [(100, 0.1), (200, 0.2), (300, 0.3)]
    held = {name: [row["examples"] for row in run.history] for name, run in runs.items() if name != "study"}
    assert held["trial-00001"] == [100, 200, 300]
    assert held["trial-00002"] == [100, 200]
    assert runs["trial-00001"].history[1]["accuracy"] == pytest.approx(accuracy(1, 200))
    assert math.isnan(runs["trial-00003"].history[0]["loss"])
    assert runs["trial-00001"].hyperparameters == plan(1).hyperparameters
    ends = {name: run.summed.get("state") for name, run in runs.items()}
    assert list(ends.values()).count("COMPLETE") == 2
    assert (ends["trial-00002"], ends["trial-00003"]) == ("FAIL", "PRUNED")
    assert runs["trial-00002"].summed["reason"] == "loss is nan"
    assert runs["trial-00002"].exit_codes[-1] == 1
    assert runs["trial-00003"].tags == ["PRUNED"]
    assert runs["trial-00000"].summed["value"] == pytest.approx(accuracy(0, 300))
    study = runs["study"]
    assert [row["trial"] for row in study.history] == [0, 1, 3]
    assert [row["best"] for row in study.history] == [accuracy(n, 300) for n in (0, 1, 1)]
    assert (study.summed["best_trial"], study.summed["learning_rate"]) == (1, 0.05)


def test_a_session_that_resumes_continues_its_runs_online(tmp_path: Path, server: FakeWandb) -> None:
    begun(tmp_path)
    with open_run(tmp_path) as run:
        assert follow(run, "wandb") == ["logger wandb: acc@5 is acc_at_5 there"]
        assert [len(each.rows) for each in by_name(server).values()] == [1, 3, 1, 1]
        continued(run)
        follow(run, "wandb")
        agree(server)
        before = {id: list(each.rows) for id, each in server.runs.items()}
        follow(run, "wandb")
    agree(server)
    assert {id: each.rows for id, each in server.runs.items()} == before


def sync(run: Path) -> None:
    """What is not uploaded yet, as a person would upload it."""
    command = [sys.executable, "-m", "wandb", "sync", "--yes"]  # which writes into the current folder
    folders = [str(each) for each in sorted((run / "wandb").glob("offline-run-*"))]
    done = subprocess.run(
        [*command, *folders], cwd=run, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("between", [False, True], ids=["synced once", "synced between"])
def test_what_is_written_offline_is_uploaded_whole(tmp_path: Path, server: FakeWandb, between: bool) -> None:
    begun(tmp_path)
    with open_run(tmp_path) as run:
        follow(run, "{name: wandb, mode: offline}")
        assert server.runs == {}
        if between:
            sync(run.path)
        continued(run)
        follow(run, "{name: wandb, mode: offline}")
    sync(run.path)
    agree(server)


def test_without_a_key_it_is_off_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wandb.login", lambda *, prompt: False)
    begun(tmp_path)
    with open_run(tmp_path) as run:
        [said] = follow(run, "wandb")
    assert "no W&B key is known here. Run: wandb login, or write {name: wandb, mode: offline}" in said
