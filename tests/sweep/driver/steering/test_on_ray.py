"""Each verb that steers, on one study that runs on Ray and is killed in between."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

import analysis
import sweep
from sweep.driver.steering import channel
from sweep.errors import SweepError
from sweep.spec.parse import load
from tests.logs import records
from tests.processes import actors, wait_for, wait_until, wait_until_gone
from tests.sweep.conftest import ON_RAY, Folder
from tests.sweep.driver.notify.conftest import Server, server

__all__ = ["server"]

pytestmark = pytest.mark.slow

TRAIN = """\
import time


def train(trial):
    x, step = 2.0, 0
    if trial.checkpoint is not None:
        x, step = trial.checkpoint["x"], trial.checkpoint["step"]
    while True:  # until it is pruned or finished by hand, however long that takes
        step += 1
        x -= trial.params["learning_rate"] * x
        trial.save(x=x, step=step)
        time.sleep(0.05)
        yield {"examples": step, "validation_loss": x * x}
"""

CHANGES = (
    ("line.py:Line", "train.py:train"),
    ("trial: {micro_batch_size: 16, length: {epochs: 3}}\n", ""),
    ("fixed: {optimizer: sgd, slow: 0.0}\n", ""),
    ("  accumulation_steps: {choices: [1, 2]}\n", ""),
    ("executor: inline\n", ON_RAY),
    ("sampler: {name: random}", "sampler: {name: random}\nmax_concurrent: 2\ncheckpoints: {every: 0.2s}"),
    ("trials: 4", "trials: 8"),
)


def reports_of(run: Path, trial: int) -> list[float]:
    return [row["metrics"]["validation_loss"] for row in records(run, "report") if row["trial"] == trial]


def told(run: Path) -> dict[int, dict[str, object]]:
    return {record["trial"]: record for record in records(run, "told")}


def live(run: Path) -> list[int]:
    asked = {record["trial"] for record in records(run, "asked")}
    return sorted(asked - told(run).keys())


def begin(folder: Folder) -> subprocess.Popen[str]:
    """A session, once some trial has reported in it."""
    before = len(records(folder.run_dir, "report"))
    process = folder.start("run", "study.yaml", "--no-report", "--quiet")
    wait_for(lambda: len(records(folder.run_dir, "report")) > before, process)
    return process


def test_every_verb_steers_a_study_on_ray_that_is_killed_and_resumed(folder: Folder, server: Server) -> None:
    """And what it tells people is told once, whatever was killed between."""
    (folder.path / "train.py").write_text(TRAIN)
    with folder.write(*CHANGES).open("a") as file:
        file.write(f"notify: {{webhook: '{server.url}', on: [best, end], every: 1s}}\n")
    run = folder.run_dir

    first = begin(folder)
    assert sweep.set(run, {"budget.trials": 9, "max_concurrent": 3}).answered
    wait_for(lambda: len(live(run)) == 3, first)
    wait_for(lambda: reports_of(run, 0), first)
    assert sweep.prune(run, 0).answered
    wait_for(lambda: 0 in told(run), first)
    assert sweep.enqueue(run, {"learning_rate": 0.03125}).answered
    wait_for(lambda: len(reports_of(run, 1)) > 2, first)
    assert sweep.finish(run, 1).answered
    wait_for(lambda: 1 in told(run), first)
    assert sweep.tag(run, "star", trial=1).answered
    with pytest.raises(SweepError, match="trial 1 has ended: COMPLETE"):
        sweep.prune(run, 1)
    with pytest.raises(SweepError, match="learning_rate: must be within space"):
        sweep.enqueue(run, {"learning_rate": 3.0})
    assert actors(first.pid)
    assert sweep.pause(run).answered
    wait_for(lambda: sweep.status(run).closed == "paused" and not actors(first.pid), first)
    first.kill()
    first.communicate()
    at_rest = len(records(run, "report"))

    second = folder.start("run", "study.yaml", "--no-report", "--quiet")
    wait_for(lambda: sweep.status(run).pid == second.pid, second)
    assert sweep.status(run).paused is not None
    assert not actors(second.pid)
    assert sweep.resume(run).answered
    wait_for(lambda: len(records(run, "report")) > at_rest, second)
    victim = live(run)[0]
    asked = channel.submit(run, "prune", {"trial": victim})
    second.send_signal(signal.SIGKILL)
    left = actors(second.pid)
    second.communicate()
    wait_until_gone(left)

    folder.without_ray()
    third = begin(folder)
    wait_for(lambda: victim in told(run), third)
    assert [each["id"] for each in records(run, "request")].count(asked.id) == 1
    last = live(run)[0]
    wait_for(lambda: len(reports_of(run, last)) > 3, third)
    assert sweep.finish(run, last).answered
    wait_for(lambda: last in told(run), third)
    assert sweep.stop(run).answered
    out, _ = third.communicate(timeout=300)
    assert third.returncode == 130, out
    assert "budget.trials: 9, as it was set by hand on" in out

    for number in live(run):
        assert sweep.prune(run, number).answer.endswith("when the study is next run")
    assert sweep.set(run, {"budget.trials": len(told(run)) + len(live(run))}).answered
    fourth = folder.sweep("run", "study.yaml", "--no-report", "--quiet")
    assert fourth.returncode == 0, fourth.stderr
    assert server.events.count("end") == 1
    bests = [each["trial"] for each in server.messages if each["event"] == "best"]
    assert bests
    assert len(bests) == len(set(bests)), "a best was told twice"

    trials = analysis.load(run).trials.set_index("number")
    assert set(trials.state) == {"COMPLETE", "PRUNED"}
    assert trials.reason[0] == trials.reason[victim] == "pruned by hand"
    assert trials.reason[1] == trials.reason[last] == "finished by hand"
    assert trials.params_learning_rate.tolist().count(0.03125) == 1
    for number in (1, last):
        assert trials.value[number] == reports_of(run, number)[-1]
        kept = analysis.load(run).checkpoints.query(f"trial == {number} and final")
        assert kept.examples.max() == len(reports_of(run, number))
    rows = [(row["trial"], row["examples"]) for row in records(run, "report")]
    assert len(rows) == len(set(rows))
    assert load(run / "study.yaml").budget.trials == len(trials)
    wait_until(lambda: channel.count(run) == 0)
