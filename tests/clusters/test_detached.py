"""A study that a laptop outside the inventory sends to the head: followed, left, stopped, fetched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

import analysis
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import Laptop, StudyLab
from tests.logs import records

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]


@pytest.fixture(scope="module")
def laptop() -> Iterator[Laptop]:
    with Lab(("a", "b"), subnet="10.213.11") as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b")
        yield Laptop(cluster)


def test_a_laptops_study_outlives_it_is_stopped_gone_on_with_and_fetched(laptop: Laptop) -> None:
    run_dir = laptop.write("away", ("trials: 9", "trials: 20"))
    begun = laptop.sweep("run", "away.yaml", "--detach")
    assert begun.returncode == 0, begun.stderr
    assert "away: runs on a and continues without this machine" in begun.stderr

    again = laptop.sweep("run", "away.yaml", "--detach")
    assert (again.returncode, again.stdout) == (2, "")
    assert "is running on a already. Follow it with python -m sweep attach away.yaml" in again.stderr

    watching = laptop.begin("attach", "away.yaml")
    assert watching.stdout is not None
    while "/20 trials" not in (line := watching.stdout.readline()):
        assert line, watching.communicate()
    os.killpg(watching.pid, signal.SIGINT)
    out, _ = watching.communicate(timeout=300)
    assert watching.returncode == 130
    assert "away: continues on a" in out

    while not records(run_dir, "told"):
        fetched = laptop.sweep("fetch", "away.yaml")
        assert fetched.returncode in (0, 2), fetched.stderr
    stopped = laptop.sweep("stop", "away.yaml")
    assert stopped.returncode == 0, stopped.stderr
    seen = laptop.sweep("attach", "away.yaml")
    assert seen.returncode == 130, seen.stdout + seen.stderr
    assert "stopping: finishing the current steps" in seen.stdout
    assert 0 < len(analysis.load(run_dir).trials.query("state == 'COMPLETE'")) < 20

    ended = laptop.sweep("run", "away.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = analysis.load(run_dir)
    assert list(table.trials.state) == ["COMPLETE"] * 20
    assert set(table.metrics.host) == {"a", "b"}
    assert ended.stdout.count("results: runs/away") == 1

    gone = laptop.sweep("stop", "away.yaml")
    assert gone.returncode == 2
    assert "away: is not running on a" in gone.stderr


def test_results_of_this_machine_are_never_written_over(laptop: Laptop) -> None:
    run_dir = laptop.write("own")
    run_dir.mkdir(parents=True)
    (run_dir / "log.jsonl").write_text("mine")
    for verb in ("run", "fetch"):
        ended = laptop.sweep(verb, "own.yaml")
        assert ended.returncode == 2
        assert "runs/own: is a run of this machine, and is not overwritten" in ended.stderr
    assert (run_dir / "log.jsonl").read_text() == "mine"


def test_invariant_10_a_head_that_is_not_reached_is_one_line(laptop: Laptop) -> None:
    laptop.write("lost")
    laptop.cluster.lab.cut("a")
    try:
        ended = laptop.sweep("run", "lost.yaml")
    finally:
        laptop.cluster.lab.plug("a")
    assert ended.returncode == 2
    assert ended.stderr.startswith("a: ssh root@a:")
    assert "Traceback" not in ended.stderr
