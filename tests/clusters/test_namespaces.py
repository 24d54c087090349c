"""`doctor` over machines with real sshd, addresses and file trees of their own, whole and with faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.lab import Lab, reason_against

pytestmark = pytest.mark.skipif(reason_against() is not None, reason=str(reason_against()))

Finding = dict[str, str]


@pytest.fixture(scope="module")
def machines() -> Iterator[Lab]:
    with Lab(("a", "b", "c")) as lab:
        yield lab


@pytest.fixture
def lab(machines: Lab) -> Lab:
    machines.write_inventory()
    return machines


def doctor(lab: Lab) -> tuple[int, dict[tuple[str, str], Finding]]:
    """The exit code and the findings by node and check, as a laptop on the machines' network has them."""
    done = lab.cluster("doctor", "--json")
    assert done.stdout, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["red"] == (done.returncode == 1)
    return done.returncode, {(found["node"], found["check"]): found for found in said["findings"]}


def reds(found: dict[tuple[str, str], Finding]) -> list[tuple[str, str]]:
    return [key for key, finding in found.items() if finding["status"] == "red"]


def test_three_machines_that_are_well(lab: Lab) -> None:
    code, found = doctor(lab)
    assert (code, reds(found)) == (0, [])
    assert found["b", "address"]["saw"] == f"{lab.ip('b')} on eth0"
    assert found["c", "links"] == {
        "node": "c", "check": "links", "status": "green",
        "ran": "TCP to and from every node on Ray's ports", "saw": "2 others reached", "cure": "",
    }  # fmt: skip
    assert sys.executable not in lab.run("b", "ps", "-eo", "args"), "what doctor started has ended"
    assert not (lab.tree("b") / "s").exists(), "doctor writes nothing"


def test_a_refused_key_and_an_unknown_host_key_are_told_apart(lab: Lab) -> None:
    keys, known = lab.tree("b") / ".ssh" / "authorized_keys", lab.path / "known_hosts"
    before = keys.read_text(), known.read_text()
    keys.write_text("")
    known.write_text("".join(line for line in before[1].splitlines(True) if not line.startswith("c,")))
    try:
        code, found = doctor(lab)
    finally:
        keys.write_text(before[0])
        known.write_text(before[1])
    assert (code, reds(found)) == (1, [("b", "login"), ("c", "login")])
    assert "takes no key of yours" in found["b", "login"]["saw"]
    assert found["b", "login"]["cure"].startswith("ssh-copy-id root@b")
    assert "host key is not known" in found["c", "login"]["saw"]
    assert found["b", "links"]["status"] == "skipped"


def test_an_unknown_host_and_a_pulled_cable_are_no_hang_and_hide_nothing(lab: Lab) -> None:
    lab.write_inventory(("root@b", "root@nowhere.invalid"))
    lab.cut("c")
    try:
        code, found = doctor(lab)
    finally:
        lab.plug("c")
    assert (code, reds(found)) == (1, [("b", "login"), ("c", "login")])
    assert "the name is not known here" in found["b", "login"]["saw"]
    assert "awake" in found["c", "login"]["cure"]
    assert found["a", "ports"]["status"] == "green"


def test_two_entries_that_are_one_machine(lab: Lab) -> None:
    lab.run("b", "ip", "addr", "add", lab.ip("c").replace(".13", ".33") + "/24", "dev", "eth0")
    lab.write_inventory((f"root@c, ip: {lab.ip('c')}", f"root@{lab.ip('b')}, ip: {lab.ip('c')[:-2]}33"))
    try:
        code, found = doctor(lab)
    finally:
        lab.run("b", "ip", "addr", "del", lab.ip("c").replace(".13", ".33") + "/24", "dev", "eth0")
    assert (code, reds(found)) == (1, [("c", "distinct")])
    assert found["c", "distinct"]["saw"] == "is the same machine as b"


def test_an_address_that_is_not_on_the_machine_and_a_port_that_somebody_else_has(lab: Lab) -> None:
    lab.write_inventory((f"ip: {lab.ip('c')}", "ip: 10.213.7.99"))
    listen = f"import socket, time; s = socket.create_server(('{lab.ip('b')}', 6380))"
    code = f"{listen}; print(flush=True); time.sleep(99)"
    other = subprocess.Popen(
        lab.inside("b", sys.executable, "-c", code), stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        ended, found = doctor(lab)
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.communicate()
    assert (ended, reds(found)) == (1, [("b", "ports"), ("c", "address")])
    assert found["b", "ports"]["saw"] == "taken: 6380"
    assert "lsof -nP -iTCP:6380" in found["b", "ports"]["cure"]
    assert found["c", "address"]["saw"] == f"10.213.7.99 is not on it; it has eth0 {lab.ip('c')}"


def test_a_link_between_two_workers_that_is_broken_is_found(lab: Lab) -> None:
    route = ("unreachable", f"{lab.ip('c')}/32")
    lab.run("b", "ip", "route", "add", *route)
    try:
        code, found = doctor(lab)
    finally:
        lab.run("b", "ip", "route", "del", *route)
    assert code == 1
    assert ("b", "links") in reds(found)
    assert f"from b to c ({lab.ip('c')}:6380): EHOSTUNREACH" in found["b", "links"]["saw"]
    assert ("a", "links") not in reds(found)


def test_an_environment_that_is_not_there(lab: Lab) -> None:
    lab.write_inventory((f", python: {sys.executable}", ""))
    python = lab.tree("a") / "s" / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    code, found = doctor(lab)
    assert (code, reds(found)) == (1, [("b", "environment"), ("c", "environment")])
    assert found["b", "environment"]["saw"] == "there is no ~/s/env/bin/python"
    assert "cluster sync" in found["b", "environment"]["cure"]


def test_versions_that_differ_are_named(lab: Lab) -> None:
    lab.write_inventory((sys.executable, "~/python"))
    for name in lab.names:
        version = "0.1.0" if name == "c" else "0.32.4"
        packages = lab.tree(name) / "packages"
        for package, number in (("mlx", version), ("ray", "2.60.0")):
            info = packages / f"{package}-{number}.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n")
        python = lab.tree(name) / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="$HOME/packages" exec {sys.executable} "$@"\n')
        python.chmod(0o755)
    code, found = doctor(lab)
    assert (code, reds(found)) == (1, [("c", "environment")])
    assert found["c", "environment"]["saw"] == "mlx 0.1.0, but a has mlx 0.32.4"


def test_without_a_terminal_a_person_still_reads_what_to_type(lab: Lab) -> None:
    lab.write_inventory(("root@b", "root@nowhere.invalid"))
    done = lab.cluster("doctor")
    assert done.returncode == 1
    assert "red b, login: the name is not known here" in done.stdout
    assert "type: correct `ssh` in the inventory" in done.stdout


def test_a_lab_leaves_nothing_behind() -> None:
    with Lab(("x",), subnet="10.213.8") as small:
        path, switch = small.path, small.switch
        assert small.run("x", "hostname").strip() == "x"
    assert not Path(path).exists()
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    assert switch not in namespaces
