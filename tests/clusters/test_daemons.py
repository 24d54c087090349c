"""`up --daemon` on machines with a real systemd: Ray that outlives who brought it up, and reboots.

The tests stand in the order in which things happen to one cluster. Its links are encrypted, and on c the user
is not root: there `sudo` wants a password.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.drivers import ASK, driver
from tests.clusters.systemd import SystemdLab, reason_against
from tests.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]

NOT_ROOT = "import os\nos.geteuid = lambda: 501\n"
SUDO = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"
PYTHON = '#!/bin/sh\nexport PATH="$HOME/bin:$PATH" PYTHONPATH="$HOME/bin"\nexec {python} "$@"\n'


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    with SystemdLab(("a", "b", "c"), subnet="10.213.31") as machines:
        machines.write_inventory((sys.executable, "~/python"))
        machines.inventory.write_text(machines.inventory.read_text() + "auth: {tls: auto}\n")
        for name in machines.names:
            (machines.tree(name) / "bin").mkdir()
            write_program(machines.tree(name) / "python", PYTHON.format(python=sys.executable))
        write_program(machines.tree("c") / "bin" / "sudo", SUDO)
        (machines.tree("c") / "bin" / "sitecustomize.py").write_text(NOT_ROOT)
        yield machines


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def own(lab: SystemdLab, name: str) -> Path:
    return lab.tree(name) / "s" / "clusters" / "lab"


def pids(lab: SystemdLab, what: str, *names: str) -> dict[str, str]:
    """A process of each machine, all of them unless some are named."""
    found = {name: lab.run(name, "ps", "-eo", "pid=,args=") for name in names or lab.names}
    return {name: str(re.findall(rf"^ *(\d+) .*{what}", said, re.M)) for name, said in found.items()}


def wait_until_up(lab: SystemdLab, since: float, *again: str) -> None:
    """All machines, by themselves, these anew: their daemons say so, then Ray's head does."""

    def is_up_again(name: str) -> bool:
        said = json.loads((own(lab, name) / "state.json").read_text())
        return bool(said["phase"] == "up" and said["since_s"] > since)

    wait_until(lambda: all(map(is_up_again, again)))
    wait_until(lambda: json.loads(lab.cluster("status", "--json").stdout)["is_up"])


def ask(lab: SystemdLab, name: str) -> dict[str, Any]:
    """What a driver on a machine sees of the cluster."""
    done = driver(lab, name, ASK, str(lab.inventory))
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {node: host for node, (_, _, host) in said.items()}


def test_where_sudo_wants_a_password_up_says_what_to_type_once(lab: SystemdLab) -> None:
    done = lab.cluster("up", "--daemon")
    assert done.returncode == 1
    assert [line.partition(" (")[0] for line in sorted(done.stdout.splitlines())] == ["a: up", "b: up"]
    script = f"{lab.home}/s/clusters/lab/install.sh"
    assert done.stderr == (
        "c: installing its service: sudo: a password is required; run once: "
        f"ssh -t -F {lab.ssh_config} root@c 'sudo sh {script}', then up again\n"
    )
    before = pids(lab, "raylet/raylet ", "a", "b")
    lab.run("c", "sh", script)
    done = lab.cluster("up", "--daemon")
    assert (done.returncode, done.stderr) == (0, "")
    assert pids(lab, "raylet/raylet ", "a", "b") == before


def test_a_driver_joins_and_up_again_changes_nothing(lab: SystemdLab) -> None:
    assert ask(lab, "b") == {"a": "a", "b": "b", "c": "c"}
    before = pids(lab, "raylet/raylet ")
    lab.inventory.write_text(lab.inventory.read_text() + "hold: daemon\n")
    assert lab.cluster("up").returncode == 0
    assert pids(lab, "raylet/raylet ") == before


def test_nothing_of_the_laptop_holds_it(lab: SystemdLab) -> None:
    assert not (lab.path / "laptop" / ".sweep" / "clusters" / "lab" / "supervisor.json").exists()
    here = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(lab.ssh_config) not in here
    wait_until(lambda: pids(lab, "sshd: root@") == dict.fromkeys(lab.names, "[]"))
    said = json.loads(lab.cluster("status", "--json").stdout)
    assert {node["held_by"] for node in said["nodes"]} == {"a daemon"}


def test_it_is_held_one_way_at_a_time_and_by_one_authority(lab: SystemdLab) -> None:
    text = lab.inventory.read_text()
    lab.inventory.write_text(text.replace("hold: daemon", "hold: ssh"))
    held = lab.cluster("up")
    lab.inventory.write_text(text + "ports: {gcs: 7000}\n")
    moved = lab.cluster("up")
    lab.inventory.write_text(text)
    strange = lab.cluster("up", laptop="another")
    assert {held.returncode, moved.returncode, strange.returncode} == {2}
    assert "already held by daemons: a, b, c. Write `hold: daemon`, or run python -m sweep" in held.stderr
    assert "ports, environment or auth differ from what is running on a; run python -m sweep" in moved.stderr
    assert "the certificates on a were signed by " in strange.stderr


def test_another_order_restarts_its_node_alone(lab: SystemdLab) -> None:
    before = pids(lab, "raylet/raylet ")
    text = lab.inventory.read_text()
    lab.inventory.write_text(text.replace(f"ip: {lab.ip('b')}", f"ip: {lab.ip('b')}, slots: 2"))
    assert lab.cluster("up").returncode == 0
    after = pids(lab, "raylet/raylet ")
    assert {name for name in lab.names if after[name] != before[name]} == {"b"}
    said = json.loads(lab.cluster("status", "--json").stdout)
    assert [node["slots"] for node in said["nodes"]] == [1, 2, 1]


def test_a_ray_and_a_daemon_that_are_killed_are_started_again(lab: SystemdLab) -> None:
    before, began = pids(lab, "raylet/raylet ", "b", "c"), time.time()
    lab.run("b", "pkill", "-9", "-f", "/raylet/raylet ")
    lab.run("c", "pkill", "-9", "-f", "/lab/daemon.py")
    wait_until_up(lab, began, "b", "c")
    assert all(before[name] != pid for name, pid in pids(lab, "raylet/raylet ", "b", "c").items())


def test_a_power_cut_of_the_head_and_a_worker_mends_itself(lab: SystemdLab) -> None:
    before, began = pids(lab, "raylet/raylet ", "b"), time.time()
    for name in "ac":
        lab.kill(name)
    for name in "ca":
        lab.boot(name)
    wait_until_up(lab, began, *lab.names)
    assert ask(lab, "c") == {"a": "a", "b": "b", "c": "c"}
    assert pids(lab, "raylet/raylet ", "b") != before


def test_down_ends_it_from_anywhere_and_leaves_nothing(lab: SystemdLab) -> None:
    lab.inventory.write_text(lab.inventory.read_text().replace("hold: daemon", "hold: ssh"))
    done = lab.cluster("down", laptop="another")
    script = f"{lab.home}/s/clusters/lab/remove.sh"
    assert done.returncode == 1
    assert done.stdout == (
        "a: down\nb: down\nc: its service: left installed and idle: sudo: a password is required; "
        f"to remove it, run ssh -t -F {lab.ssh_config} root@c 'sudo sh {script}'\n"
    )
    assert pids(lab, "ray") == dict.fromkeys(lab.names, "[]")
    idle = pids(lab, "daemon.py")
    assert [name for name in lab.names if idle[name] != "[]"] == ["c"]
    lab.run("c", "sh", script)
    for name in lab.names:
        assert not [line for line in lab.units(name).rglob("*") if line.name.startswith("sweep")]
        assert not (own(lab, name) / "order.json").exists()
        assert not (own(lab, name) / "state.json").exists()
    assert pids(lab, "daemon.py") == dict.fromkeys(lab.names, "[]")
    assert lab.cluster("down").stdout == "a: was not up\nb: was not up\nc: was not up\n"
