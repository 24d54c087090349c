"""A node's agent with a Ray that is none: who holds it, and what is left when nobody does."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import nodeside
from clusters.connection import is_held
from clusters.errors import HostError
from clusters.remote import Conversation, Local
from tests.clusters.fakeray import lives, pids, write_fake
from tests.processes import LONG_S

FILES = {"lock": "agent.lock", "log": "agent.log", "token": "token"}


class Agent:
    """A conversation with an agent, and what it was told."""

    def __init__(
        self, folder: Path, *, by: str = "me", silence_s: float = LONG_S, before: str = "true"
    ) -> None:
        script, source = nodeside.held(sys.executable, "lifecycle.agent", "sweep-agent-test")
        path = f"PYTHONPATH={folder}/fake"
        self.talk = Conversation(Local("here"), f"{before}; export {path}; {script}", source)
        self.folder = folder
        files = {name: f"{folder}/own/{file}" for name, file in FILES.items()}
        config = {"by": by, "is_head": False, "ip": "127.0.0.1", "ports": [0], "local_ports": []}
        config |= {"probes": "echo hello", "silence_s": silence_s, **files}
        self.talk.say(json.dumps(config))

    def heard(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.talk.answer(deadline_s=LONG_S))
        return said

    def go(self, *arguments: str) -> None:
        files = {f"{self.folder}/own/token": "secret"}
        self.talk.say(
            json.dumps({"environment": {"X": "y"}, "files": files, "start": arguments, "project": "/none"})
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_fake(tmp_path)
    return tmp_path


@pytest.fixture
def agent(folder: Path) -> Iterator[Agent]:
    held = Agent(folder)
    assert held.heard()["probes"] == "hello\n"
    held.go()
    assert held.heard() == {"up": True}
    yield held
    held.talk.close()


def all_end(folder: Path, before: list[int]) -> bool:
    """Whether all that was started ends soon, and the lock is free."""
    deadline = time.monotonic() + LONG_S
    while any(lives(pid) for pid in before) or is_held(folder / "own" / "agent.lock"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_holds_ray_and_keeps_the_token_to_its_owner(agent: Agent) -> None:
    assert is_held(agent.folder / "own" / "agent.lock")
    assert all(lives(pid) for pid in pids(agent.folder))
    assert oct((agent.folder / "own" / "token").stat().st_mode)[-3:] == "600"


def test_the_end_of_its_connection_ends_its_ray_and_whom_that_started(agent: Agent) -> None:
    agent.talk.hang_up()
    assert all_end(agent.folder, pids(agent.folder))


@pytest.mark.slow
def test_silence_ends_its_ray_and_whom_that_forgot(folder: Path) -> None:
    held = Agent(folder, silence_s=1.0)
    held.heard()
    held.go("careless")
    held.heard()
    with pytest.raises(HostError, match="ended with code 0"):
        held.heard()
    assert all_end(folder, pids(folder))
    held.talk.close()


def test_a_ray_that_ends_by_itself_is_told_with_what_it_said(folder: Path) -> None:
    held = Agent(folder)
    held.heard()
    held.go("fail")
    assert held.heard() == {"ended": 1, "log": "no room\n"}
    assert all_end(folder, [])
    held.talk.close()


@pytest.mark.slow
@pytest.mark.parametrize(("hard", "soft"), [(15_000, 10_240), (5_000, 256)])
def test_ray_may_open_as_many_files_as_can_be_had(folder: Path, hard: int, soft: int) -> None:
    held = Agent(folder, before=f"ulimit -Sn 256; ulimit -Hn {hard}")
    held.heard()
    held.go("fail")
    held.heard()
    held.talk.close()
    assert int((folder / "files").read_text()) == soft


@pytest.mark.slow
def test_its_own_supervisor_takes_it_over_and_another_does_not(agent: Agent) -> None:
    other = Agent(agent.folder, by="you")
    assert other.heard()["held"]["by"] == "me"
    other.talk.close()
    before = pids(agent.folder)
    again = Agent(agent.folder)
    assert "probes" in again.heard()
    assert not any(lives(pid) for pid in before)
    again.talk.close()


def stop(folder: Path, by: str) -> dict[str, Any]:
    service = {"cluster": "none", "folder": f"{folder}/own", "python": sys.executable}
    config = json.dumps({"lock": f"{folder}/own/agent.lock", "by": by, **service})
    done = Local("here").run(nodeside.command(sys.executable, "lifecycle.stop", config), deadline_s=LONG_S)
    said: dict[str, Any] = json.loads(done.out)
    return said


@pytest.mark.slow
def test_stop_ends_an_agent_of_its_own_supervisor_alone(agent: Agent) -> None:
    before = pids(agent.folder)
    assert stop(agent.folder, "you") == {"was_up": True, "held_by": "me"}
    assert all(lives(pid) for pid in before)
    assert stop(agent.folder, "me") == {"was_up": True, "ended": True}
    assert all_end(agent.folder, before)
    assert stop(agent.folder, "me") == {"was_up": False}


@pytest.mark.slow
def test_stop_ends_a_ray_that_outlived_its_agent(agent: Agent) -> None:
    before = pids(agent.folder)
    holder = json.loads((agent.folder / "own" / "agent.lock").read_text())
    os.kill(holder["agent"], signal.SIGKILL)
    agent.talk.close()
    assert lives(before[0])
    assert stop(agent.folder, "me") == {"was_up": True, "ended": True}
    assert all_end(agent.folder, before)


def test_a_lock_whose_holder_is_no_agent_is_left_alone(folder: Path) -> None:
    (folder / "own").mkdir()
    with (folder / "own" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert stop(folder, "me")["held_by"] == "an agent that is starting"
