"""A worker's files on its host: they go with it, and where it was killed with the next worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.worker import spool
from sweep.worker.spool import Spool

MAKE = "from sweep.worker.spool import Spool; made = Spool(); print(made.folder, flush=True); input()"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A worker's process, and its spool."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def test_a_killed_workers_files_go_with_the_next_worker_a_living_ones_stay(
    other: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SETTLED_S", 0.0)
    process, folder = other
    (folder / "0-0-64-1.safetensors").write_bytes(b"x")
    Spool().close()
    assert (folder / "0-0-64-1.safetensors").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    Spool().close()
    assert not folder.exists()


def test_a_spool_that_may_not_have_taken_its_lock_yet_is_left_alone(temporary: Path) -> None:
    begun = temporary / "sweep-spool-begun"
    begun.mkdir()
    (begun / "lock").touch()
    Spool().close()
    assert begun.exists()


def test_it_goes_with_its_worker(temporary: Path) -> None:
    made = Spool()
    made.write_chunk("1-examples.safetensors", b"x")
    made.close()
    assert list(temporary.iterdir()) == []


def test_chunks_of_files_that_come_at_the_same_time_are_kept_apart() -> None:
    made = Spool()
    paths = [made.write_chunk(name, name.encode()) for name in ("1-a", "2-a", "1-a", "2-a")]
    assert [Path(path).read_bytes() for path in paths] == [b"1-a1-a", b"2-a2-a"] * 2
    made.close()
