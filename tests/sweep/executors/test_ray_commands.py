"""Commands on real Ray actors: one is pruned, a worker killed, the study stopped; no process is left."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

import analysis
from tests.logs import records
from tests.processes import living, wait_for, wait_until
from tests.sweep.conftest import ON_RAY, STUDIES, Folder

pytestmark = pytest.mark.slow

STUDY = f"""\
name: line
command: [python, script.py, waits, --rate, "{{rate}}", --here, HERE, "--resume={{resume}}/state.json"]
objective: {{metric: loss, direction: minimize}}
{ON_RAY}checkpoints: {{every: 0.1s}}
space: {{rate: {{low: 0.0, high: 1.0}}}}
enqueue: [{{rate: 0.1}}, {{rate: 0.9}}, {{rate: 0.05}}, {{rate: 0.04}}]
sampler: {{name: random}}
pruner: {{name: median, n_startup_trials: 1}}
budget: {{trials: 4}}
"""


def started(folder: Path, trial: int) -> list[int]:
    """The processes of a trial, as they wrote themselves down: its program, then what it started."""
    lines = (folder / "pids").read_text().splitlines() if (folder / "pids").exists() else []
    return [int(line.split()[1]) for line in lines if line.split()[0] == str(trial)]


def test_invariant_3_commands_are_pruned_resumed_and_ended_wherever_their_processes_went(
    folder: Folder,
) -> None:
    shutil.copy(STUDIES / "script.py", folder.path)
    folder.study.write_text(STUDY.replace("HERE", str(folder.path)))
    driver = folder.start("run", "study.yaml")

    def saved() -> set[int]:
        return {each["trial"] for each in records(folder.run_dir, "checkpoint") if each["examples"] == 2}

    wait_for(lambda: saved() >= {2, 3}, driver)
    wait_until(lambda: not living(started(folder.path, 1)), what="the pruned command to end")
    first = started(folder.path, 2)
    assert len(living(first)) == 3
    worker = psutil.Process(first[0]).ppid()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not living(first), what="what the killed worker's command had started to end")
    wait_for(lambda: len(records(folder.run_dir, "told")) == 3, driver)
    told = {each["trial"]: each["state"] for each in records(folder.run_dir, "told")}
    assert told == {0: "COMPLETE", 1: "PRUNED", 2: "COMPLETE"}
    assert len(living(started(folder.path, 3))) == 3
    os.kill(driver.pid, signal.SIGINT)
    assert driver.wait(timeout=300) == 130, driver.communicate()
    wait_until(lambda: not living(started(folder.path, 3)), what="the stopped commands to end")
    folder.without_ray()
    ended = folder.sweep("run", "study.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    found = analysis.load(folder.run_dir)
    assert found.trials.state.tolist() == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    rows = found.metrics[["trial", "examples", "attempt"]].sort_values(["trial", "examples"])
    assert rows[rows.trial > 1].to_numpy().tolist() == [
        [trial, examples, int(examples > 2)] for trial in (2, 3) for examples in (1, 2, 3, 4)
    ]
