"""Studies over machines with addresses and file trees of their own: whole, cut, killed, added, back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import analysis
from sweep.progress import Quiet
from sweep.session import run_study
from sweep.spec import load
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab

pytestmark = pytest.mark.skipif(reason_against() is not None, reason=str(reason_against()))


@pytest.fixture(scope="module")
def cluster() -> Iterator[StudyLab]:
    with Lab(("a", "b", "c", "d"), subnet="10.213.10") as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b", "c")
        yield cluster


def records(run_dir: Path, event: str) -> list[dict[str, Any]]:
    log = run_dir / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [record for record in found if record["event"] == event]


def wait_for(condition: Callable[[], object], driver: subprocess.Popen[str], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert driver.poll() is None, driver.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def locally(cluster: StudyLab, name: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The values of the same study on this machine alone, undisturbed."""
    monkeypatch.setenv("PAUSE_S", "0")
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    text = (cluster.folder / f"{name}.yaml").read_text()
    study = cluster.folder / "local.yaml"
    study.write_text(text.replace("cluster: lab.yaml", "cluster: local\nexecutor: inline"))
    run_study(load(study), runs=cluster.folder / "alone", progress=Quiet())
    return list(analysis.load(cluster.folder / "alone" / name).trials.value)


def test_three_machines_end_with_the_table_of_one(cluster: StudyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = cluster.write("whole")
    ended = cluster.sweep("run", "whole.yaml", "--no-report", "--json")
    assert ended.returncode == 0, ended.stderr
    table = analysis.load(run_dir)
    assert set(table.metrics.host) == {"a", "b", "c"}
    assert set(table.trials.state) == {"COMPLETE"}
    assert list(table.trials.value) == locally(cluster, "whole", monkeypatch)
    for name in ("a", "b", "c"):
        assert (cluster.lab.tree(name) / "awake").read_text().startswith("-s -w ")


def test_invariant_3_one_cut_one_killed_one_added_one_back_end_with_the_undisturbed_table(
    cluster: StudyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = cluster.write("disturbed", ("trials: 9", "trials: 30"))
    driver = cluster.begin("run", "disturbed.yaml", "--no-report", "--json")

    def slots(name: str, event: str = "slot") -> list[dict[str, Any]]:
        return [record for record in records(run_dir, event) if record["slot"].startswith(f"{name}-")]

    wait_for(lambda: slots("b") and slots("c") and len(records(run_dir, "checkpoint")) >= 3, driver)
    cluster.lab.cut("c")
    cluster.lab.kill("b")
    wait_for(lambda: slots("b", "lost") and slots("c", "lost"), driver)
    cluster.lab.plug("c")
    cluster.up("a", "c", "d")
    wait_for(lambda: slots("d") and len(slots("c")) == 2, driver)
    out, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, out

    table = analysis.load(run_dir)
    assert set(table.trials.state) == {"COMPLETE"}
    assert not table.metrics.duplicated(["trial", "replicate", "examples"]).any()
    assert len(table.metrics) == 30 * 6
    assert set(table.metrics.host) == {"a", "b", "c", "d"}
    lost = [record["slot"] for name in "bc" for record in slots(name, "lost")]
    assert lost == ["b-0", "c-0"], "nothing is started on a machine that left"
    again = table.metrics[table.metrics.attempt > 0]
    assert 1 <= again.trial.nunique() <= 2, "what ran on other machines was not disturbed"
    assert list(table.trials.value) == locally(cluster, "disturbed", monkeypatch)
