"""What is said where Ray does not start: its cause, and one thing to do. The errors are Ray's own."""

from __future__ import annotations

import getpass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweep.errors import SweepError
from sweep.executors.ray import setup
from sweep.executors.ray.own import OwnRayCluster
from sweep.executors.ray.start_errors import why_not_started


def test_invariant_10_a_folder_too_long_for_sockets_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    with pytest.raises(SweepError) as raised:
        OwnRayCluster(slots=1, gpus=0).start()
    assert str(raised.value) == (
        f"Ray did not start on this machine: its folder {folder}/ray is too long a path for sockets. "
        "Set RAY_TMPDIR to a short one: /tmp"
    )


def test_invariant_10_a_home_that_cannot_be_written_is_named_with_what_to_set() -> None:
    said = why_not_started(PermissionError(13, "Permission denied", "/Users/me/.ray"))
    assert said == (
        "it cannot write its token to /Users/me/.ray: Permission denied. Set HOME to a folder that you can "
        "write to, or RAY_AUTH_TOKEN_PATH to a file that holds a token"
    )


def test_invariant_10_rays_folder_of_another_user_is_named_with_its_owner(tmp_path: Path) -> None:
    session = tmp_path / "ray" / "session_2026"
    session.parent.mkdir()
    said = why_not_started(PermissionError(13, "Permission denied", str(session)))
    assert said == (
        f"it cannot write {session}: Permission denied; {session.parent} belongs to {getpass.getuser()}. "
        "Set RAY_TMPDIR to a folder of your own"
    )


def test_only_where_it_took_too_long_is_waiting_the_advice() -> None:
    assert "wait and run the same command" in why_not_started(Exception("The current node timed out"))
    assert "wait" not in why_not_started(Exception("no such thing"))


class Starting:
    """Stands for a node whose raylet has ended, or has not."""

    def __init__(self, exit_code: int | None) -> None:
        raylet = SimpleNamespace(process=SimpleNamespace(poll=lambda: exit_code))
        self.all_processes = {"raylet": [raylet]}
        self.killed = 0

    def kill_all_processes(self, **_: object) -> None:
        self.killed += 1


@pytest.mark.parametrize(("exit_code", "looks"), [(None, 3), (1, 1)])
def test_a_node_is_waited_for_on_a_busy_machine_while_its_raylet_lives(
    exit_code: int | None, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself gives it 30 s."""
    services: Any = setup.ray._private.services
    node: Any = setup.ray._private.node.Node
    starting, looked = Starting(exit_code), list[str]()

    def look(address: str) -> str:
        looked.append(address)
        if len(looked) < 3:
            raise RuntimeError("no such node")
        return "there"

    def init(**_: object) -> Any:
        node.start_ray_processes(starting)
        return services.get_node("here")

    monkeypatch.setattr(services, "get_node", look)
    monkeypatch.setattr(node, "start_ray_processes", lambda self: None)
    monkeypatch.setattr("sweep.executors.ray.setup.ray.init", init)
    if exit_code is None:
        assert setup.init() == "there"
    else:
        with pytest.raises(setup.RayletEnded):
            setup.init()
    assert looked == ["here"] * looks
    assert starting.killed == (exit_code is not None), "what is left of it ends"
    assert services.get_node is look


@pytest.mark.parametrize("ends", [2, 3])
def test_ray_whose_raylet_ends_as_it_starts_is_started_again_some_times(
    ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    def init(**_: object) -> None:
        started.append(None)
        if len(started) <= ends:
            raise setup.RayletEnded("its raylet timed out, or broke, as it started")

    monkeypatch.setattr("sweep.executors.ray.own.init", init)
    monkeypatch.setattr("sweep.executors.ray.own.head", lambda: "head")
    if ends < 3:
        OwnRayCluster(slots=1, gpus=0).start()
    else:
        with pytest.raises(SweepError, match=r"its raylet timed out, .* very busy, wait"):
            OwnRayCluster(slots=1, gpus=0).start()
    assert len(started) == 3
