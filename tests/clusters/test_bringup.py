"""Ray up and down on machines with real sshd: by the verbs as they are typed, one story for all tests.

The tests stand in the order in which things happen to one cluster: bringing it up takes long.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.drivers import ASK, KNOCK, driver
from tests.clusters.lab import ROOT, Lab, reason_against
from tests.processes import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(("a", "b", "c"), subnet="10.213.9") as machines:
        machines.write_inventory(
            (sys.executable, "~/python"), ("ip: 10.213.9.13", "ip: 10.213.9.13, slots: 2")
        )
        for name in machines.names:
            write_python(machines, name)
        yield machines


def write_python(lab: Lab, name: str, extra: str = "") -> None:
    """The Python of these tests as a machine's own."""
    python = lab.tree(name) / "python"
    python.write_text(f'#!/bin/sh\n{extra}exec {sys.executable} "$@"\n')
    python.chmod(0o755)


def up(lab: Lab, *, laptop: str = "laptop") -> tuple[int, dict[str, Any]]:
    done = lab.cluster("up", "--json", laptop=laptop)
    assert done.stdout, done.stderr
    return done.returncode, {node["node"]: node for node in json.loads(done.stdout)["nodes"]}


def kept(lab: Lab) -> dict[str, Any]:
    """What the supervisor says of each node."""
    file = lab.path / "laptop" / ".sweep" / "clusters" / "lab" / "supervisor.json"
    return {node["node"]: node for node in json.loads(file.read_text())["nodes"]}


def fetched(lab: Lab, url: str, token: str) -> int:
    """The status that the dashboard answers with, once the tunnel is there."""
    code = (
        "import sys, time, urllib.request as r, urllib.error as e\n"
        "for _ in range(100):\n"
        "    try:\n"
        "        asked = r.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]})\n"
        "        sys.exit(print(r.urlopen(asked).status))\n"
        "    except e.HTTPError as error:\n"
        "        sys.exit(print(error.code))\n"
        "    except e.URLError:\n"
        "        time.sleep(0.1)\n"
    )
    asked = lab.outside(sys.executable, "-c", code, f"{url}/api/version", token)
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


def idle_status(lab: Lab) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """What `status` says once the slots of a driver that has ended are free."""
    seen = []

    def is_idle() -> bool:
        done = lab.cluster("status", "--json")
        seen.append((done, json.loads(done.stdout)))
        return not any(node["busy"] for node in seen[-1][1]["nodes"])

    wait_until(is_idle)
    return seen[-1]


def raylet(lab: Lab, name: str) -> str:
    (line,) = [line for line in lab.processes(name) if "/raylet/raylet " in line]
    return line.split()[0]


def tokens(lab: Lab) -> dict[str, Path]:
    return {name: lab.tree(name) / "s" / "clusters" / "lab" / "token" for name in lab.names}


def ask(lab: Lab, name: str) -> dict[str, Any]:
    """What a driver on a machine sees of the cluster."""
    done = driver(lab, name, ASK, str(lab.inventory))
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_what_is_wrong_on_a_node_is_one_line_and_hinders_no_other(lab: Lab) -> None:
    shadow = lab.tree("c") / "packages" / "mlx-0.1.0.dist-info"
    shadow.mkdir(parents=True)
    (shadow / "METADATA").write_text("Metadata-Version: 2.1\nName: mlx\nVersion: 0.1.0\n")
    write_python(lab, "c", 'export PYTHONPATH="$HOME/packages"\n')
    listen = f"import socket, time; s = socket.create_server(('{lab.ip('b')}', 6381)); print(flush=True)"
    other = subprocess.Popen(
        lab.inside("b", sys.executable, "-c", f"{listen}; time.sleep(99)"),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        done = lab.cluster("up")
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.communicate()
    assert done.returncode == 1
    assert done.stdout.startswith("a: up (")
    b, c = sorted(done.stderr.splitlines())
    assert b.startswith("b: its ports: in use: 6381; sudo lsof -nP -iTCP:6381")
    assert c.startswith("c: ~/python: mlx 0.1.0, but a has mlx 0.32")
    assert "cluster sync" in c


def test_up_again_starts_only_what_is_not_up(lab: Lab) -> None:
    head = raylet(lab, "a")
    write_python(lab, "c")
    code, nodes = up(lab)
    assert (code, {name: node["phase"] for name, node in nodes.items()}) == (0, dict.fromkeys("abc", "up"))
    assert raylet(lab, "a") == head
    before = {name: raylet(lab, name) for name in lab.names}
    assert up(lab)[0] == 0
    assert {name: raylet(lab, name) for name in lab.names} == before


def test_the_token_is_everywhere_and_its_owners_alone(lab: Lab) -> None:
    files = list(tokens(lab).values())
    assert len({file.read_text() for file in files}) == 1
    assert len(files[0].read_text()) == 64
    assert {oct(file.stat().st_mode)[-3:] for file in files} == {"600"}
    for name in lab.names:
        assert files[0].read_text() not in lab.run(name, "ps", "-eo", "args")


def test_a_driver_on_a_node_finds_all_by_label(lab: Lab) -> None:
    seen = ask(lab, "b")
    assert {name: (ip, host) for name, (ip, _, host) in seen.items()} == {
        name: (lab.ip(name), name) for name in lab.names
    }
    slots = {name: resources["mlx_slot"] for name, (_, resources, _) in seen.items()}
    assert slots == {"a": 1, "b": 1, "c": 2}
    assert seen["a"][1]["mem_gb"] > 0


def test_status_says_how_each_node_stands_and_how_to_reach_the_dashboard(lab: Lab) -> None:
    done, said = idle_status(lab)
    assert (done.returncode, said["is_up"], said["address"]) == (0, True, f"{lab.ip('a')}:6379")
    assert [(node["node"], node["state"], node["busy"], node["slots"]) for node in said["nodes"]] == [
        ("a", "up", 0, 1),
        ("b", "up", 0, 1),
        ("c", "up", 0, 2),
    ]
    token = subprocess.run(lab.outside(*shlex.split(said["token"])), capture_output=True, text=True).stdout
    tunnel = subprocess.Popen(lab.outside(*shlex.split(said["tunnel"])))
    try:
        assert fetched(lab, said["dashboard"], token) == 200
        assert fetched(lab, said["dashboard"], "0" * 64) in (401, 403)
    finally:
        tunnel.kill()
        tunnel.wait()


def test_doctor_finds_ray_as_the_inventory_says(lab: Lab) -> None:
    done = lab.cluster("doctor", "--json")
    found = {(one["node"], one["check"]): one for one in json.loads(done.stdout)["findings"]}
    assert [one for one in found.values() if one["status"] == "red"] == []
    assert done.returncode == 0
    for name in lab.names:
        assert found[name, "ray"]["saw"] == "as the inventory says"
        assert found[name, "actors"]["saw"] == "reaches 3 nodes"
        assert found[name, "ports"]["saw"].startswith("used by our Ray, held by ")
        assert found[name, "token"]["saw"].startswith("sha256 ")


def test_a_connection_without_the_token_is_refused(lab: Lab) -> None:
    token, address = tokens(lab)["a"].read_text(), f"{lab.ip('a')}:6379"
    assert driver(lab, "b", KNOCK, address, "token", token).stdout == "3\n"
    for mode, wrong in (("token", "0" * 64), ("disabled", "")):
        assert "InvalidAuthToken" in driver(lab, "b", KNOCK, address, mode, wrong).stdout


def test_machines_that_died_or_lost_their_cable_are_taken_in_again(lab: Lab) -> None:
    before = {name: raylet(lab, name) for name in lab.names}
    lab.kill("c")
    lab.boot("c")
    tokens(lab)["c"].write_text("another")
    lab.cut("b")
    try:
        wait_until(lambda: kept(lab)["b"]["phase"] != "up")
        done = lab.cluster("status")
    finally:
        lab.plug("b")
    assert done.returncode == 1
    assert re.search(r"^ *b +unreachable", done.stdout, re.MULTILINE)
    assert "b: ssh root@b: " in done.stdout
    code, nodes = up(lab)
    assert (code, {name: node["phase"] for name, node in nodes.items()}) == (0, dict.fromkeys("abc", "up"))
    assert nodes["c"]["note"] == "its token differed from the head's and was replaced"
    assert {name for name in lab.names if raylet(lab, name) == before[name]} == {"a"}


def test_a_node_taken_out_is_let_go_one_written_in_is_taken_in_and_a_killed_agents_ray_replaced(
    lab: Lab,
) -> None:
    text, before = lab.inventory.read_text(), {name: raylet(lab, name) for name in "ab"}
    lab.inventory.write_text("".join(line for line in text.splitlines(True) if "name: c," not in line))
    (agent,) = [line.split()[0] for line in lab.processes("b") if "sweep-agent" in line]
    lab.run("b", "kill", "-9", agent)
    code, nodes = up(lab)
    assert (code, {name: node["phase"] for name, node in nodes.items()}) == (0, dict.fromkeys("ab", "up"))
    assert not [line for line in lab.processes("c") if "raylet" in line or "sweep-agent" in line]
    after = {name: raylet(lab, name) for name in "ab"}
    assert (after["a"], after["b"] != before["b"]) == (before["a"], True)
    lab.inventory.write_text(text)
    code, nodes = up(lab)
    assert (code, nodes["c"]["phase"]) == (0, "up")
    assert {name: raylet(lab, name) for name in "ab"} == after


def test_a_second_laptop_is_told_who_holds_them(lab: Lab) -> None:
    code, nodes = up(lab, laptop="another")
    assert code == 1
    assert nodes["a"]["saw"].startswith("its lock: already up, held by ")
    down = lab.cluster("down", laptop="another")
    assert down.returncode == 1
    assert "run down there" in down.stdout
    assert raylet(lab, "a")


def test_what_ssh_holds_is_given_to_no_daemon(lab: Lab) -> None:
    here = lab.cluster("up", "--daemon")
    assert here.returncode == 2
    assert "the cluster `lab` is held over SSH from here; run python -m sweep cluster down" in here.stderr
    there = lab.cluster("up", "--daemon", laptop="another")
    assert there.returncode == 1
    assert sorted(there.stderr.splitlines())[0].startswith("a: its lock: already up, held by ")
    assert not (lab.tree("a") / "s" / "clusters" / "lab" / "order.json").exists()


def test_what_changed_for_all_nodes_is_refused(lab: Lab) -> None:
    text = lab.inventory.read_text()
    lab.inventory.write_text(text + "ports: {gcs: 7000}\n")
    done = lab.cluster("up")
    lab.inventory.write_text(text)
    assert done.returncode == 2
    assert (
        "ports, environment or auth differ from the running cluster's; run python -m sweep cluster down"
        in done.stderr
    )


def is_left(lab: Lab, name: str, kept: list[list[str]]) -> bool:
    """Whether these processes are all of a machine, by how they were started, SSH's left out."""
    return [line.split()[1:] for line in lab.processes(name) if "sshd" not in line] == kept


def test_down_ends_what_up_started_and_nothing_else(lab: Lab) -> None:
    decoy = subprocess.Popen(lab.inside("b", "bash", "-c", "exec -a /x/raylet/raylet sleep 99"))
    try:
        wait_until(lambda: any("raylet 99" in line for line in lab.processes("b")))
        done = lab.cluster("down")
        assert (done.returncode, done.stdout) == (0, "a: down\nb: down\nc: down\n")
        for name in lab.names:  # a `sleep` whose shell was ended lasts for its seconds
            kept = [["/x/raylet/raylet", "99"]] if name == "b" else []
            wait_until(partial(is_left, lab, name, kept), what=f"nothing else on {name}")
        assert decoy.poll() is None
    finally:
        decoy.kill()
        decoy.wait()
    assert (
        str(lab.inventory) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    )
    assert lab.cluster("down").stdout == "a: was not up\nb: was not up\nc: was not up\n"


def test_a_driver_is_told_that_nothing_is_up(lab: Lab) -> None:
    done = driver(lab, "b", ASK, str(lab.inventory))
    assert "ClusterError: b: Ray is not running here; run python -m sweep cluster up" in done.stderr


def test_an_inventory_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "cluster", "up", str(tmp_path / "none.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "clusters/lab.example.yaml" in done.stderr
