"""Only the process that runs a study is sent the signal that stops it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runlog import layout
from sweep.api.agents import launching
from sweep.errors import SweepError
from sweep.rundir.lock import WriterLock


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Path]:
    held = WriterLock(tmp_path / layout.LOCK)
    yield tmp_path / layout.LOCK
    held.release()


@pytest.fixture(autouse=True)
def signalled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whom a signal is sent to, instead of the signal."""
    found: list[int] = []
    monkeypatch.setattr("sweep.api.agents.launching.os.kill", lambda pid, _: found.append(pid))
    return found


def test_the_process_that_runs_is_stopped(lock: Path, signalled: list[int]) -> None:
    assert launching.stop(lock.parent) == os.getpid()
    assert signalled == [os.getpid()]


def test_a_lock_without_a_number_yet_stops_nobody(lock: Path, signalled: list[int]) -> None:
    """0 is the caller's own process group."""
    lock.write_text("")
    with pytest.raises(SweepError, match="begins just now, and its process is not known yet"):
        launching.stop(lock.parent)
    assert signalled == []


def test_another_machines_process_is_not_looked_for_here(lock: Path, signalled: list[int]) -> None:
    """A volume that machines share: the number is another process's here."""
    lock.write_text(f"{os.getppid()}\n")
    with pytest.raises(SweepError, match=f"another container, as the process {os.getppid()}. Stop it there"):
        launching.stop(lock.parent)
    assert signalled == []
