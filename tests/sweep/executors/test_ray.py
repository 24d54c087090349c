"""Studies on real Ray actors: workers killed, the driver killed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
from tests.sweep.conftest import Folder


def records(run_dir: Path, event: str) -> list[dict[str, Any]]:
    log = run_dir / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [record for record in found if record["event"] == event]


def wait_for(condition: object, process: object, timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """Direct and indirect children of a process, from /proc."""
    table: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            table.setdefault(parent, []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        here = table.get(left.pop(), [])
        found += here
        left += here
    return found


def actors(pid: int) -> list[int]:
    """The processes of a driver's workers that hold a task."""

    titles = {process: title(process) for process in children(pid)}
    return [
        process
        for process, name in titles.items()
        if name.startswith("ray::") and ("Actor" in name or "/slot-" in name)
    ]


def title(pid: int) -> str:
    """A process's command line; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def ray_folder(folder: Folder) -> Folder:
    folder.write(
        ("executor: inline\n", "checkpoints: {every: 1s}\n"),
        ("slow: 0.0", "slow: 0.2"),
        ("epochs: 3", "epochs: 6"),
        ("trials: 4", "trials: 10"),
    )
    return folder


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


def undisturbed(folder: Folder) -> list[float]:
    """The trials' values where the same study runs in one process to its end."""
    folder.study.write_text(folder.study.read_text() + "executor: inline\n")
    ended = folder.sweep("run", "study.yaml", "--runs", "undisturbed", "--json")
    assert ended.returncode == 0, ended.stderr
    return list(analysis.load(folder.path / "undisturbed" / "line").trials.value)


def test_invariant_3_worker_ray_and_driver_killed_end_with_the_undisturbed_table(ray_folder: Folder) -> None:
    driver = ray_folder.start("run", "study.yaml")
    wait_for(lambda: records(ray_folder.run_dir, "told"), driver)
    workers = actors(driver.pid)
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    wait_for(lambda: records(ray_folder.run_dir, "lost"), driver)
    (head,) = [pid for pid in children(driver.pid) if "/gcs_server" in title(pid).split("\0")[0]]
    os.kill(head, signal.SIGKILL)
    wait_for(lambda: "ended" in records(ray_folder.run_dir, "lost")[-1]["reason"], driver)
    wait_for(lambda: len(records(ray_folder.run_dir, "told")) >= 4, driver)
    descendants = children(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    _wait_until_gone(descendants)
    ended = ray_folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    check_whole(ray_folder)
    assert list(analysis.load(ray_folder.run_dir).trials.value) == undisturbed(ray_folder)


def test_invariant_3_lanes_go_on_each_from_its_own_checkpoint_after_a_kill(folder: Folder) -> None:
    """Those of one slot were saved at the same moment, under the same name in their trials' folders."""
    folder.write(
        ("executor: inline\n", "checkpoints: {every: 0.2s}\n"),
        ("lanes: 1", "lanes: 4"),
        ("epochs: 3", "epochs: 150"),
        ("trials: 4", "trials: 8"),
    )
    driver = folder.start("run", "study.yaml")
    wait_for(lambda: len(records(folder.run_dir, "checkpoint")) >= 8, driver)
    descendants = children(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    assert not records(folder.run_dir, "told")
    _wait_until_gone(descendants)
    ended = folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert list(analysis.load(folder.run_dir).trials.value) == undisturbed(folder)


def _wait_until_gone(processes: list[int], timeout_s: float = 60) -> None:
    """Ray ends by itself once its driver is gone, two agents of its a minute later."""
    deadline = time.monotonic() + timeout_s
    left = [pid for pid in processes if "Agent" not in title(pid)]
    while any(Path(f"/proc/{pid}").exists() for pid in left) and time.monotonic() < deadline:
        time.sleep(0.2)
