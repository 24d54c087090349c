"""A study on real Ray actors: workers killed, Ray, the driver."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

import analysis
from tests.logs import records
from tests.processes import children, title, wait_for, wait_until_gone
from tests.sweep.conftest import ON_RAY, STUDIES, Folder
from tests.sweep.ten_trials import check_whole

pytestmark = pytest.mark.slow


def test_invariant_3_gpu_worker_ray_and_driver_killed_end_with_the_undisturbed_table(folder: Folder) -> None:
    """The GPU's watchdog strikes first: from then on it refuses a worker, as on a Mac.

    Lanes of one slot are saved at the same moment, under the same name in their trials' folders; each goes on
    from its own.
    """
    shutil.copy(STUDIES / "watchdog.py", folder.path)
    folder.write(
        ("line.py:Line", "watchdog.py:Line"),
        ("executor: inline\n", ON_RAY + "checkpoints: {every: 0.01s}\n"),
        ("lanes: 1", "lanes: 2"),
        ("epochs: 3", "epochs: 6"),
        ("trials: 4", "trials: 10"),
    )
    folder.gate.shut(after=8)
    driver = folder.start("run", "study.yaml")

    def lost() -> list[str]:
        return [each["reason"] for each in records(folder.run_dir, "lost")]

    def saved() -> set[int]:
        """Trials that are not over and have a checkpoint."""
        over = {each["trial"] for each in records(folder.run_dir, "told")}
        return {each["trial"] for each in records(folder.run_dir, "checkpoint")} - over

    wait_for(lost, driver)
    assert "METAL" in lost()[0]
    wait_for(lambda: records(folder.run_dir, "told") and folder.gate.held(), driver)
    folder.gate.shut(after=0)
    os.kill(folder.gate.held()[0], signal.SIGKILL)
    wait_for(lambda: len(lost()) > 1, driver)
    (head,) = [pid for pid in children(driver.pid) if "/gcs_server" in title(pid).split("\0")[0]]
    os.kill(head, signal.SIGKILL)
    wait_for(lambda: "ended" in lost()[-1], driver)
    wait_for(folder.gate.held, driver)
    descendants = children(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    folder.gate.open()
    wait_until_gone(descendants)
    assert len(saved()) > 1
    ended = folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    check_whole(folder)
    values = list(analysis.load(folder.run_dir).trials.value)
    folder.without_ray()
    ended = folder.sweep("run", "study.yaml", "--runs", "undisturbed", "--json")
    assert ended.returncode == 0, ended.stderr
    assert values == list(analysis.load(folder.path / "undisturbed" / "line").trials.value)
