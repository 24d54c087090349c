"""A study that a laptop outside the inventory sends to the head: followed, left, stopped, fetched.

Its cluster is of two machines, each with a user who cannot read the other's home. Its links are encrypted.
The tests stand in the order in which things happen to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

import analysis
import sweep
from tests.clusters.drivers import ASK, driver
from tests.clusters.lab import Lab, reason_against
from tests.clusters.studylab import GATED, Laptop, StudyLab
from tests.logs import records
from tests.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]

NOBODY = "10.213.11.99"
"""An address that no machine has. While the head's cable is pulled Ray may take the other node for lost."""

USERS = {"a": "alice", "b": "bob"}
KNOCK = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
plain = socket.create_connection((sys.argv[1], 6379), 5)
try:
    with context.wrap_socket(plain, server_hostname=sys.argv[1]) as door:
        print(door.version()[:3], end=": ")
        print("speaks" if door.read() else "closed")
except (ssl.SSLError, ConnectionResetError):
    print("closed")
"""


@pytest.fixture(scope="module")
def laptop() -> Iterator[Laptop]:
    with Lab(("a", "b"), subnet="10.213.11", users=USERS) as lab, StudyLab(lab, pause_s=0.2) as cluster:
        cluster.up("a", "b", changes=(("ssh: {config", "auth: {tls: auto}\nssh: {config"),))
        for name in lab.names:
            lab.tree(name).chmod(0o700)
        yield Laptop(cluster)


@pytest.fixture(autouse=True)
def nothing_left(laptop: Laptop) -> Iterator[None]:
    """What a test that fails leaves disturbs no other one."""
    yield
    laptop.cluster.end_what_began()


def knock(lab: Lab) -> str:
    """What the head's port says to one who speaks TLS and trusts it, but has no certificate to show."""
    authority_file = str(lab.path / "laptop" / ".sweep" / "clusters" / "lab" / "ca.crt")
    command = lab.outside(sys.executable, "-c", KNOCK, lab.ip("a"), authority_file)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def test_drivers_join_by_tls_and_who_has_no_certificate_does_not(laptop: Laptop) -> None:
    lab = laptop.cluster.lab
    said = driver(lab, "b", ASK, str(lab.inventory)).stdout
    assert json.loads(said.splitlines()[-1]).keys() == {"a", "b"}
    assert json.loads(lab.cluster("status", "--json").stdout)["is_up"]
    key = lab.tree("b") / "s" / "clusters" / "lab" / "tls" / "node.key"
    assert oct(key.stat().st_mode)[-3:] == "600"
    assert knock(lab) == "TLS: closed"


STEERED = (
    ("set", "budget.trials=14"),
    ("enqueue", "learning_rate=0.03125", "accumulation_steps=1"),
    ("note", "from a laptop"),
)


def test_a_laptops_study_outlives_it_is_steered_stopped_resumed_and_fetched(laptop: Laptop) -> None:
    """The study stands in its third and fourth trial while it is steered, and until it is stopped."""
    run_dir = laptop.write("away", ("trials: 9", "trials: 12"), GATED)
    laptop.cluster.shut("a", "b", after=9)
    begun = laptop.sweep("run", "away.yaml", "--detach")
    assert begun.returncode == 0, begun.stderr
    assert "away: runs on a and continues without this machine" in begun.stderr

    again = laptop.sweep("run", "away.yaml", "--detach")
    assert (again.returncode, again.stdout) == (2, "")
    assert "is running on a already. Follow it with python -m sweep attach away.yaml" in again.stderr

    watching = laptop.begin("attach", "away.yaml")
    assert watching.stdout is not None
    while "/12 trials" not in (line := watching.stdout.readline()):
        assert line, watching.communicate()
    os.killpg(watching.pid, signal.SIGINT)
    out, _ = watching.communicate(timeout=300)
    assert watching.returncode == 130
    assert "away: continues on a" in out

    (there,) = (laptop.cluster.lab.tree("a") / "s" / "studies").glob("*/runs/away")
    wait_until(lambda: records(there, "told"))
    for verb, *asked in STEERED:
        done = laptop.sweep(verb, "away.yaml", *asked)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("away on a: ")
    refused = laptop.sweep("set", "away.yaml", "seed=4")
    assert refused.returncode == 2
    assert "seed may not change" in refused.stderr
    fetched = laptop.sweep("fetch", "away.yaml")
    assert fetched.returncode == 0, fetched.stderr
    assert records(run_dir, "told")
    stopped = laptop.sweep("stop", "away.yaml")
    assert stopped.returncode == 0, stopped.stderr
    laptop.cluster.open()
    seen = laptop.sweep("attach", "away.yaml")
    assert seen.returncode == 130, seen.stdout + seen.stderr
    assert "stopping: finishing the current steps" in seen.stdout
    assert 0 < len(analysis.load(run_dir).trials.query("state == 'COMPLETE'")) < 12

    ended = laptop.sweep("run", "away.yaml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = analysis.load(run_dir)
    assert list(table.trials.state) == ["COMPLETE"] * 14
    assert list(table.trials.params_learning_rate).count(0.03125) == 1
    assert sweep.status(run_dir).notes == ("from a laptop",)
    assert set(table.metrics.host) == {"a", "b"}
    assert ended.stdout.count("results: runs/away") == 1

    gone = laptop.sweep("stop", "away.yaml")
    assert gone.returncode == 2
    assert "away: is not running on a" in gone.stderr


def test_each_machines_files_are_its_users_and_no_home_of_the_others_is_made(laptop: Laptop) -> None:
    lab = laptop.cluster.lab
    for name, other in ("a", "b"), ("b", "a"):
        assert (lab.tree(name) / "s" / "r").stat().st_uid == lab.tree(name).stat().st_uid
        folder = f"{lab.path}/home-{USERS[other]}/s"
        said = lab.run(name, "/bin/sh", "-c", f"ls -d {folder} 2>/dev/null || echo none")
        assert said == "none\n", "the home of the other machine is not there"


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
    config = laptop.folder / "ssh_config"
    before = config.read_text()
    config.write_text(before.replace(f"HostName {laptop.cluster.lab.ip('a')}\n", f"HostName {NOBODY}\n"))
    ended = laptop.sweep("run", "lost.yaml")
    config.write_text(before)
    assert ended.returncode == 2
    assert ended.stderr.startswith("a: ssh alice@a:")
    assert "Traceback" not in ended.stderr


def test_down_leaves_nothing_of_either(laptop: Laptop) -> None:
    lab = laptop.cluster.lab
    done = lab.cluster("down")
    assert (done.returncode, done.stdout) == (0, "a: down\nb: down\n")
    for name in lab.names:
        assert "raylet" not in lab.run(name, "ps", "-eo", "args")
