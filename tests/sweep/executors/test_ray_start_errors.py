"""What is said where Ray does not start: its cause, and one thing to do. The errors are Ray's own."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from sweep.errors import SweepError
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
