"""The program that holds a node's Ray as a service, with a Ray that is none: what it makes of orders."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clusters import nodeside
from clusters.connection import is_held
from clusters.inventory import parse
from clusters.lifecycle import daemons
from tests.clusters.fakeray import lives, pids, write_fake

LAB = parse("nodes: [{name: a, ssh: me@a, ip: 10.1.1.1}]", Path("lab.yaml"))


class Daemon:
    """One that runs, in a folder of its own."""

    def __init__(self, folder: Path, *changes: tuple[str, str]) -> None:
        write_fake(folder)
        self.folder = folder
        self._ids = 0
        program = folder / "daemon.py"
        text = nodeside.program("lifecycle.daemon")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        program.write_text(text)
        environment = {**os.environ, "PYTHONPATH": f"{folder}/fake"}
        self.process = subprocess.Popen([sys.executable, str(program)], env=environment)

    def order(self, *start: str, head: tuple[str, int] | None = None, ip: str = "127.0.0.1") -> str:
        self._ids += 1
        order: dict[str, Any] = {"id": str(self._ids), "ip": ip, "head": head, "start": start}
        order |= {"environment": {}, "project": "/none"}
        (self.folder / "new").write_text(json.dumps(order))
        os.replace(self.folder / "new", self.folder / "order.json")
        return str(self._ids)

    def state(self) -> dict[str, Any]:
        try:
            said: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return said

    def comes_to(self, **wanted: object) -> bool:
        return soon(lambda: wanted.items() <= self.state().items())


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 300
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    running = Daemon(tmp_path)
    yield running
    running.process.terminate()
    assert running.process.wait(300) == 0


def all_end(before: list[int]) -> bool:
    return soon(lambda: not any(lives(pid) for pid in before))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            {
                "phase": "ended",
                "failed": 2,
                "why": "ended with exit code 1",
                "log": "x\nValueError: no\n  by\n",
            },
            "a: ray start: ended with exit code 1: ValueError: no; see ~/.sweep/clusters/lab/agent.log there",
        ),
        (
            {"phase": "waiting", "why": "waiting for its address, 10.1.1.1"},
            "a: its daemon: waiting for its address, 10.1.1.1; run python -m sweep cluster doctor lab.yaml",
        ),
        (
            {"phase": "starting"},
            "a: ray start: is starting; see ~/.sweep/clusters/lab/agent.log there",
        ),
    ],
)
def test_what_a_daemon_says_is_one_line_with_a_fix(state: dict[str, Any], text: str) -> None:
    assert str(daemons.trouble(LAB, LAB.head, state)) == text


def test_what_root_is_to_run_is_typed_there_or_by_ssh() -> None:
    script = "/Users/me/.sweep/clusters/lab/install.sh"
    assert daemons.as_root(LAB, LAB.head, script) == f"ssh -t me@a 'sudo sh {script}'"
    assert daemons.as_root(LAB, replace(LAB.head, ip="127.0.0.1"), script) == f"sudo sh {script}"


@pytest.mark.slow
def test_an_order_is_carried_out_until_there_is_another_or_none(daemon: Daemon) -> None:
    first = daemon.order()
    assert daemon.comes_to(order=first, phase="up")
    assert is_held(daemon.folder / "agent.lock")
    before = pids(daemon.folder)
    second = daemon.order()
    assert daemon.comes_to(order=second, phase="up")
    assert all_end(before)
    assert (again := pids(daemon.folder)) != before
    (daemon.folder / "order.json").unlink()
    assert all_end(again)
    assert soon(lambda: not daemon.state())
    assert not is_held(daemon.folder / "agent.lock")
    assert daemon.process.poll() is None


@pytest.mark.slow
def test_the_end_of_the_service_is_that_of_its_ray(daemon: Daemon) -> None:
    assert daemon.comes_to(order=daemon.order(), phase="up")
    daemon.process.terminate()
    daemon.process.wait(300)
    assert not any(lives(pid) for pid in pids(daemon.folder))


@pytest.mark.slow
def test_a_ray_whose_daemon_was_killed_is_ended_by_the_next(daemon: Daemon) -> None:
    assert daemon.comes_to(order=daemon.order(), phase="up")
    daemon.process.kill()
    daemon.process.wait()
    before = pids(daemon.folder)
    assert lives(before[0])
    (daemon.folder / "state.json").unlink()
    command = [sys.executable, str(daemon.folder / "daemon.py")]
    daemon.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": f"{daemon.folder}/fake"})
    assert daemon.comes_to(phase="up")
    assert not lives(before[0])


@pytest.mark.slow
def test_a_ray_that_does_not_come_up_is_tried_again(daemon: Daemon) -> None:
    daemon.order("fail")
    assert daemon.comes_to(phase="ended", failed=2, why="ended with exit code 1", log="no room\n")
    assert daemon.comes_to(order=daemon.order(), phase="up"), "and another order is taken up at once"


@pytest.mark.slow
def test_a_ray_that_lasted_is_started_again_at_once(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, ("RETRY_S, LASTED_S = 10.0, 10.0", "RETRY_S, LASTED_S = 3600.0, 0.0"))
    try:
        assert daemon.comes_to(order=daemon.order(), phase="up")
        before = pids(daemon.folder)
        os.kill(before[0], signal.SIGKILL)
        assert soon(lambda: pids(daemon.folder) != before)
    finally:
        daemon.process.terminate()
        assert daemon.process.wait(300) == 0


@pytest.mark.slow
def test_a_worker_waits_for_its_head_and_goes_with_it(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = head.getsockname()
    daemon.order(head=address)
    assert daemon.comes_to(phase="waiting", why=f"waiting for the head to answer on 127.0.0.1:{address[1]}")
    with socket.create_server(address):
        assert daemon.comes_to(phase="up")
        before = pids(daemon.folder)
    assert daemon.comes_to(phase="ended", why="its head has ended")
    assert all_end(before)


@pytest.mark.slow
def test_an_address_that_is_not_there_yet_is_waited_for(daemon: Daemon) -> None:
    daemon.order(ip="192.0.2.1")
    assert daemon.comes_to(phase="waiting", why="waiting for its address, 192.0.2.1")


@pytest.mark.slow
def test_what_a_supervisor_holds_is_left_to_it(daemon: Daemon) -> None:
    with (daemon.folder / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write('{"agent": 1, "by": "me@there"}')
        lock.flush()
        daemon.order()
        assert daemon.comes_to(phase="ended", why="held by me@there")
    assert not (daemon.folder / "pids").exists()
