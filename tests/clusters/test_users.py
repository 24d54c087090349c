"""Two machines, two users: neither can read the other's home, and they are one cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import analysis
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import StudyLab

USERS = {"a": "alice", "b": "bob"}


pytestmark = pytest.mark.skipif(bool(reason_against()), reason=str(reason_against()))


@pytest.fixture(scope="module")
def cluster() -> Iterator[StudyLab]:
    with Lab(("a", "b"), subnet="10.213.15", users=USERS) as lab, StudyLab(lab) as cluster:
        cluster.up("a", "b")
        yield cluster


def test_machines_of_two_users_are_one_cluster_for_a_study(cluster: StudyLab) -> None:
    lab = cluster.lab
    for name in lab.names:
        lab.tree(name).chmod(0o700)
    run_dir = cluster.write("shared")
    done = cluster.sweep("run", "shared.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    table = analysis.load(run_dir)
    assert list(table.trials.state) == ["COMPLETE"] * 9
    assert set(table.metrics.host) == {"a", "b"}
    for name, other in ("a", "b"), ("b", "a"):
        assert (lab.tree(name) / "s" / "r").stat().st_uid == lab.tree(name).stat().st_uid
        said = lab.run(
            name, "/bin/sh", "-c", f"ls -d {lab.path}/home-{USERS[other]}/s 2>/dev/null || echo none"
        )
        assert said == "none\n", "the home of the other machine is not there"


def test_down_leaves_nothing_of_either(cluster: StudyLab) -> None:
    done = cluster.lab.cluster("down")
    assert (done.returncode, done.stdout) == (0, "a: down\nb: down\n")
    for name in cluster.lab.names:
        assert "raylet" not in cluster.lab.run(name, "ps", "-eo", "args")
