"""Studies over machines with addresses and file trees of their own: whole, cut, killed, added, back."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.spec.parse import load
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import GATED, MEETING, StudyLab, write_program
from tests.logs import records
from tests.processes import wait_for

EPOCH = 64
"""In examples; there is a report an epoch, six a trial."""

SAVES = ("every: 1s", "every: 0.3s")
"""A trial has a snapshot before its fourth report."""

FUNCTION = """\
import os
import platform
import time
from pathlib import Path

from helper import step


def train(trial):
    folder = Path(os.environ["MEET"])
    (folder / platform.node()).touch()
    deadline = time.monotonic() + 280
    while len(list(folder.iterdir())) <= int((folder / "wanted").read_text()):
        assert time.monotonic() < deadline, "not all machines have come"
        time.sleep(0.05)
    x, done = 2.0, 0
    if trial.checkpoint is not None:
        x, done = trial.checkpoint["x"], trial.checkpoint["done"]
    while done < 4:
        x, done = step(x, trial.params["learning_rate"]), done + 1
        trial.save(x=x, done=done)
        yield {"examples": done, "loss": x * x}
"""

HELPER = """\
def step(x, rate):
    return x - rate * 2 * x
"""

FUNCTION_STUDY = """\
name: function
seed: 3
task: train.py:train
objective: {metric: loss, direction: minimize}
cluster: lab.yaml
space: {learning_rate: {low: 1.0e-2, high: 0.4, log: true}}
sampler: {name: random}
budget: {trials: 9}
"""

IOREG = """\
#!/bin/sh
echo "\\"HIDIdleTime\\" = $(cat "$HOME/idle")000000000"
"""
"""What a Mac says of when it was last typed at."""

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[StudyLab]:
    with Lab(("a", "b", "c", "d"), subnet="10.213.10") as lab, StudyLab(lab, pause_s=0.2) as cluster:
        cluster.up("a", "b", "c")
        yield cluster


@pytest.fixture(autouse=True)
def nothing_left(cluster: StudyLab) -> Iterator[None]:
    """What a test that fails leaves disturbs no other one."""
    yield
    cluster.end_what_began()
    cluster.lab.mend()


def saved_when_lost(run_dir: Path, trial: int) -> int:
    """Where a trial's last snapshot stood, in examples, when the machine that it was on was given up."""
    saved, host = 0, None
    for record in records(run_dir, "report", "checkpoint", "lost"):
        if record["event"] == "lost":
            if record["host"] == host:
                return saved
        elif record["trial"] == trial and record["event"] == "checkpoint":
            saved = record["examples"]
        elif record["trial"] == trial and record["attempt"] == 0:
            host = record["host"]
    return 0


def evaluations(cluster: StudyLab, run_dir: Path, trial: int, host: str) -> int:
    """How often the last worker of a machine that had the trial evaluated it."""
    (asked,) = [record for record in records(run_dir, "asked") if record["trial"] == trial]
    rate = f"{float(np.float32(asked['hyperparameters']['learning_rate'])):.6g}"
    lines = [line.split() for line in (cluster.lab.tree(host) / "evaluated").read_text().splitlines()]
    workers = [worker for worker, of in lines if of == rate]
    return workers.count(workers[-1])


def locally(cluster: StudyLab, name: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The values of the same study on this machine alone, undisturbed."""
    monkeypatch.setenv("PAUSE_S", "0")
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    text = re.sub(":(Counting|Gated|Meeting)", ":Pausing", (cluster.folder / f"{name}.yaml").read_text())
    study = cluster.folder / "local.yaml"
    study.write_text(text.replace("cluster: lab.yaml", "cluster: local\nexecutor: inline"))
    run_study(load(study), runs=cluster.folder / "alone", progress=Quiet())
    return list(analysis.load(cluster.folder / "alone" / name).trials.value)


def test_three_machines_end_with_the_table_of_one(cluster: StudyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = cluster.write("whole", MEETING)
    ended = cluster.sweep("run", "whole.yaml", "--no-report", "--json")
    assert ended.returncode == 0, ended.stderr
    table = analysis.load(run_dir)
    assert set(table.metrics.host) == {"a", "b", "c"}
    assert set(table.trials.state) == {"COMPLETE"}
    assert list(table.trials.value) == locally(cluster, "whole", monkeypatch)
    for name in ("a", "b", "c"):
        assert (cluster.lab.tree(name) / "awake").read_text().startswith("-is -w ")


def test_a_function_and_its_neighbour_reach_all_machines(cluster: StudyLab) -> None:
    (cluster.folder / "train.py").write_text(FUNCTION)
    (cluster.folder / "helper.py").write_text(HELPER)
    run_dir = cluster.write_text("function", FUNCTION_STUDY)
    ended = cluster.sweep("run", "function.yaml", "--no-report", "--json")
    assert ended.returncode == 0, ended.stderr
    found = analysis.load(run_dir)
    assert set(found.metrics.host) == {"a", "b", "c"}
    assert found.trials.state.tolist() == ["COMPLETE"] * 9
    rates = found.trials.params_learning_rate
    assert found.trials.value.tolist() == pytest.approx([(2 * (1 - 2 * rate) ** 4) ** 2 for rate in rates])
    assert (found.metrics.groupby("trial").size() == 4).all()


def test_invariant_3_one_cut_one_killed_one_added_one_back_end_with_the_undisturbed_table(
    cluster: StudyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = cluster.write("disturbed", ("trials: 9", "trials: 12"), (":Pausing", ":Counting"), SAVES)
    cluster.shut("a", "b", "c", "d", after=3)
    driver = cluster.begin("run", "disturbed.yaml", "--no-report", "--json")

    def slots(name: str, event: str = "slot") -> list[dict[str, Any]]:
        return [record for record in records(run_dir, event) if record["slot"].startswith(f"{name}-")]

    cluster.wait_until_held(driver, "a", "b", "c")
    wait_for(lambda: len({each["trial"] for each in records(run_dir, "checkpoint")}) == 3, driver)
    cluster.lab.cut("c")
    cluster.lab.kill("b")
    wait_for(lambda: slots("b", "lost") and slots("c", "lost"), driver)
    cluster.lab.plug("c")
    cluster.up("a", "c", "d")
    cluster.wait_until_held(driver, "c", "d")
    cluster.open()
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, out

    table = analysis.load(run_dir)
    assert set(table.trials.state) == {"COMPLETE"}
    assert not table.metrics.duplicated(["trial", "replicate", "examples"]).any()
    assert len(table.metrics) == 12 * 6
    assert set(table.metrics.host) == {"a", "b", "c", "d"}
    gone = [record for name in "bc" for record in slots(name, "lost")]
    lost = [record["slot"] for record in gone if record["reason"] != "given back"]
    assert lost == ["b-0", "c-0"], "nothing is started on a machine that left"
    again = table.metrics[table.metrics.attempt > 0]
    first = table.metrics[(table.metrics.attempt == 0) & table.metrics.trial.isin(again.trial)]
    assert 1 <= again.trial.nunique() <= 2 * len(lost), (
        "a slot holds a trial that ends and the next one at most"
    )
    assert set(first.host) <= {"b", "c"}, "what ran on other machines was not disturbed"

    ended_on = dict(zip(table.metrics.trial, table.metrics.host, strict=True))
    made = {trial: evaluations(cluster, run_dir, trial, host) for trial, host in ended_on.items()}
    saved = {trial: saved_when_lost(run_dir, trial) // EPOCH for trial in again.trial}
    (whole,) = {made[trial] for trial in made if trial not in saved}
    assert any(saved.values())
    assert {trial: made[trial] for trial in saved} == {
        trial: whole // 6 * (6 - reports) for trial, reports in saved.items()
    }, "a trial goes on from its last snapshot: what was reported before is not made twice"

    assert list(table.trials.value) == locally(cluster, "disturbed", monkeypatch)


def test_machines_that_are_reserved_or_typed_at_are_left_and_used_again_and_no_value_differs(
    cluster: StudyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, idle = cluster.lab, cluster.lab.tree("c") / "idle"
    write_program(lab.tree("c") / "bin" / "ioreg", IOREG)
    idle.write_text("900")
    cluster.up("a", "b", "c")
    inventory = cluster.folder / "lab.yaml"
    ip = f"ip: {lab.ip('c')}"
    inventory.write_text(inventory.read_text().replace(ip, f"{ip}, owner_first: {{idle: 5m}}"))
    run_dir = cluster.write("owned", GATED, SAVES)
    cluster.shut("a", "b", "c", after=3)
    driver = cluster.begin("run", "owned.yaml", "--no-report", "--json")

    def workers(name: str) -> list[str]:
        return [line for line in lab.processes(name) if f"owned/{name}/{name}-" in line]

    def reserve(*arguments: str) -> str:
        done = lab.cluster("reserve", *arguments)
        return done.stdout + done.stderr

    def said(*lines: str) -> bool:
        texts = [record["text"] for record in records(run_dir, "message")]
        return all(any(text.startswith(line) for text in texts) for line in lines)

    cluster.wait_until_held(driver, "a", "b", "c")
    assert [each for each in lab.processes("a") if "ray::IDLE" in each] == []  # where the driver is
    assert reserve("b", "--for", "1h").startswith("b: reserved by ")
    idle.write_text("3")
    assert "b: is already reserved for another " in reserve("b", "--for", "1h")
    left = "b is left to its owner: reserved by", "c is left to its owner: its owner is at the key"
    wait_for(lambda: said(*left), driver)
    cluster.open("b", "c")
    wait_for(lambda: not workers("b") and not workers("c"), driver)
    assert workers("a")
    cluster.shut("b", "c", after=3)
    reported = len(records(run_dir, "report"))
    assert reserve("b", "--release") == "b: free\n"
    idle.write_text("900")
    cluster.wait_until_held(driver, "b", "c")
    cluster.open()
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, out

    assert said("b is used again", "c is used again")
    table = analysis.load(run_dir)
    after = table.metrics[reported:]
    assert {"b", "c"} <= set(after.host), "they trained again"
    assert set(table.trials.state) == {"COMPLETE"}
    assert len(table.metrics) == 9 * 6
    assert list(table.trials.value) == locally(cluster, "owned", monkeypatch)


def test_a_study_whose_head_is_gone_says_so_before_ray_ends_it(cluster: StudyLab) -> None:
    """The last test here: nobody starts that head again. Ray ends a driver a minute after, in its words."""
    run_dir, lab = cluster.write("headless", ("trials: 9", "trials: 400")), cluster.lab
    driver = cluster.begin("run", "headless.yaml", "--no-report", "--quiet")
    wait_for(lambda: records(run_dir, "report"), driver)
    os.kill(lab.supervisor(), signal.SIGKILL)
    (head,) = [line.split()[0] for line in lab.processes("a") if "/gcs_server " in line]
    lab.run("a", "kill", "-9", head)
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 2, said
    assert "has not answered for 40 s. Recorded results are safe. Start it again" in said.splitlines()[-1]
