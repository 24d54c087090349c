"""Studies on real Ray actors: workers killed, the driver killed."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

import analysis
from tests.logs import records
from tests.processes import actors, children, title, wait_for, wait_until_gone
from tests.sweep.conftest import ON_RAY, STUDIES, Folder
from tests.sweep.ten_trials import check_whole

pytestmark = pytest.mark.slow


@pytest.fixture
def ray_folder(folder: Folder) -> Folder:
    folder.write(
        ("executor: inline\n", ON_RAY + "checkpoints: {every: 1s}\n"),
        ("slow: 0.0", "slow: 0.2"),
        ("epochs: 3", "epochs: 6"),
        ("trials: 4", "trials: 10"),
    )
    return folder


def undisturbed(folder: Folder) -> list[float]:
    """The trials' values where the same study runs in one process to its end."""
    folder.without_ray()
    ended = folder.sweep("run", "study.yaml", "--runs", "undisturbed", "--json")
    assert ended.returncode == 0, ended.stderr
    return list(analysis.load(folder.path / "undisturbed" / "line").trials.value)


def test_invariant_3_gpu_worker_ray_and_driver_killed_end_with_the_undisturbed_table(
    ray_folder: Folder,
) -> None:
    """The GPU's watchdog strikes first: from then on it refuses a worker, as on a Mac."""
    shutil.copy(STUDIES / "watchdog.py", ray_folder.path)
    ray_folder.study.write_text(ray_folder.study.read_text().replace("line.py:Line", "watchdog.py:Line"))
    driver = ray_folder.start("run", "study.yaml")
    wait_for(lambda: records(ray_folder.run_dir, "lost"), driver)
    assert "METAL" in records(ray_folder.run_dir, "lost")[0]["reason"]
    wait_for(lambda: records(ray_folder.run_dir, "told"), driver)
    workers = actors(driver.pid)
    assert workers
    os.kill(workers[0], signal.SIGKILL)
    wait_for(lambda: len(records(ray_folder.run_dir, "lost")) > 1, driver)
    (head,) = [pid for pid in children(driver.pid) if "/gcs_server" in title(pid).split("\0")[0]]
    os.kill(head, signal.SIGKILL)
    wait_for(lambda: "ended" in records(ray_folder.run_dir, "lost")[-1]["reason"], driver)
    wait_for(lambda: len(records(ray_folder.run_dir, "told")) >= 4, driver)
    descendants = children(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    wait_until_gone(descendants)
    ended = ray_folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    check_whole(ray_folder)
    assert list(analysis.load(ray_folder.run_dir).trials.value) == undisturbed(ray_folder)


def test_invariant_3_lanes_go_on_each_from_its_own_checkpoint_after_a_kill(folder: Folder) -> None:
    """Those of one slot were saved at the same moment, under the same name in their trials' folders."""
    folder.write(
        ("executor: inline\n", ON_RAY + "checkpoints: {every: 0.2s}\n"),
        ("lanes: 1", "lanes: 2"),
        ("epochs: 3", "epochs: 150"),
    )
    driver = folder.start("run", "study.yaml")
    wait_for(lambda: len(records(folder.run_dir, "checkpoint")) >= 4, driver)
    descendants = children(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    assert not records(folder.run_dir, "told")
    wait_until_gone(descendants)
    ended = folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert list(analysis.load(folder.run_dir).trials.value) == undisturbed(folder)
