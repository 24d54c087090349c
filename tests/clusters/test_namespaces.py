"""`doctor` over machines with real sshd, addresses and file trees of their own, whole and with faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.lab import Lab, reason_against

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(reason_against() is not None, reason=str(reason_against())),
]

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


@contextmanager
def taken(lab: Lab, name: str, port: int) -> Iterator[None]:
    """Somebody else listens on a machine's port."""
    listen = f"import socket, time; s = socket.create_server(('{lab.ip(name)}', {port}))"
    code = f"{listen}; print(flush=True); time.sleep(99)"
    other = subprocess.Popen(
        lab.inside(name, sys.executable, "-c", code), stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        yield
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.communicate()


@contextmanager
def passwords_only(lab: Lab, name: str) -> Iterator[None]:
    """A machine takes no keys, and asks for a password."""
    config = lab.tree(name) / "sshd_config"
    before = config.read_text()
    asks = before.replace("PasswordAuthentication no", "PasswordAuthentication yes\nPubkeyAuthentication no")
    start_anew(lab, name, config, asks)
    try:
        yield
    finally:
        start_anew(lab, name, config, before)


def start_anew(lab: Lab, name: str, config: Path, text: str) -> None:
    lab.kill(name)
    config.write_text(text)
    lab.boot(name)


@contextmanager
def tokens(lab: Lab, **by_name: tuple[str, int]) -> Iterator[None]:
    """What is left of an earlier `up`, and who may read it."""
    for name, (text, mode) in by_name.items():
        file = lab.tree(name) / "s" / "clusters" / "lab" / "token"
        file.parent.mkdir(parents=True)
        file.write_text(text)
        file.chmod(mode)
    try:
        yield
    finally:
        for name in by_name:
            shutil.rmtree(lab.tree(name) / "s")


def told(lab: Lab) -> list[tuple[str, str, str]]:
    """What a person reads of each red finding, but for ssh's own words: where, what, and what to type."""
    lines = lab.cluster("doctor").stdout.splitlines()
    reds = [number for number, line in enumerate(lines) if line.startswith("red ")]
    assert all(lines[number + 1].startswith("  ran:  ") for number in reds)
    found = [(*lines[number].split(": ", 1), lines[number + 2].removeprefix("  fix:  ")) for number in reds]
    return [(where, re.sub(r" \((ssh:|root@).*\)$", "", saw), fix) for where, saw, fix in found]


def test_three_machines_that_are_well(lab: Lab) -> None:
    code, found = doctor(lab)
    assert (code, reds(found)) == (0, [])
    assert found["b", "address"]["saw"] == f"{lab.ip('b')} on eth0"
    assert found["c", "links"] == {
        "node": "c", "check": "links", "status": "green",
        "ran": "TCP to and from every node on Ray's ports", "saw": "2 others reached", "fix": "",
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
    assert "accepts none of your keys" in found["b", "login"]["saw"]
    assert found["b", "login"]["fix"].startswith("ssh-copy-id root@b")
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
    assert "the name cannot be resolved here" in found["b", "login"]["saw"]
    assert "awake" in found["c", "login"]["fix"]
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
    with taken(lab, "b", 6380):
        ended, found = doctor(lab)
    assert (ended, reds(found)) == (1, [("b", "ports"), ("c", "address")])
    assert found["b", "ports"]["saw"] == "in use: 6380"
    assert "lsof -nP -iTCP:6380" in found["b", "ports"]["fix"]
    assert found["c", "address"]["saw"] == f"10.213.7.99 is not on this node; it has eth0 {lab.ip('c')}"


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
    assert "cluster sync" in found["b", "environment"]["fix"]


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


def test_six_kinds_of_faults_on_three_machines_are_each_said_with_what_to_type(lab: Lab) -> None:
    with taken(lab, "a", 6381), passwords_only(lab, "b"), tokens(lab, a=("x", 0o600), c=("y", 0o600)):
        first = told(lab)
        synced = lab.cluster("sync")
    lab.write_inventory((f"ip: {lab.ip('c')}", "ip: 10.213.7.99"), ("root@b", "root@nowhere.invalid"))
    with tokens(lab, a=("x", 0o644)):
        second = told(lab)
    file = lab.inventory
    assert first == [
        (
            "red a, ports", "in use: 6381",
            "sudo lsof -nP -iTCP:6381 -sTCP:LISTEN shows the program; or choose others under `ports`",
        ),
        (
            "red b, login",
            "it accepts passwords only, and no password can be typed here",
            "on that Mac take `PubkeyAuthentication no` out of /etc/ssh/sshd_config and sshd_config.d, "
            "then: ssh-copy-id root@b",
        ),
        (
            "red c, token", "differs from the head's",
            f"run python -m sweep cluster down {file}, then python -m sweep cluster up {file}",
        ),
    ]  # fmt: skip
    (of_b,) = [line for line in synced.stdout.splitlines() if line.startswith("b: ")]
    assert of_b.startswith(f"b: ssh root@b: {first[1][1]} (")
    assert of_b.endswith(f"; {first[1][2]}")
    assert [(where, saw) for where, saw, _ in second] == [
        ("red a, token", "others may read it (mode 644)"),
        ("red b, login", "the name cannot be resolved here"),
        ("red c, address", f"10.213.7.99 is not on this node; it has eth0 {lab.ip('c')}"),
    ]
    assert [fix for _, _, fix in second] == [
        "chmod 600 ~/s/clusters/lab/token",
        "correct `ssh` in the inventory, or give the Mac's IP: `ssh: me@192.168.1.11`",
        "correct `ip` in the inventory, or give the Mac that address (System Settings > Network)",
    ]


def test_without_a_terminal_a_person_still_reads_what_to_type(lab: Lab) -> None:
    lab.write_inventory(("root@b", "root@nowhere.invalid"))
    done = lab.cluster("doctor")
    assert done.returncode == 1
    assert "red b, login: the name cannot be resolved here" in done.stdout
    assert "fix:  correct `ssh` in the inventory" in done.stdout
    checks = [line.split()[0] for line in done.stdout.splitlines() if line.startswith(" ")]
    assert checks.index("address") + 1 == checks.index("route") == checks.index("links") - 1


def test_a_lab_leaves_nothing_behind() -> None:
    with Lab(("x",), subnet="10.213.8") as small:
        path, switch = small.path, small.switch
        assert small.run("x", "hostname").strip() == "x"
    assert not Path(path).exists()
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    assert switch not in namespaces
