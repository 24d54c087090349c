import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir import disk
from sweep.rundir.disk import disk_errors, replace_file


def test_a_full_disk_is_named_with_its_free_bytes_and_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(RunDirError, match=r"new/file: the disk is full \(\d+ bytes free\): .*free some space"),
        disk_errors(tmp_path / "new" / "file"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_refusals_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"missing/file: cannot be written: No such file"):
        replace_file(tmp_path / "missing" / "file", b"")


def test_invariant_9_a_replacement_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.yaml"
    replace_file(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sweep.rundir.disk.os.fsync", fail)
    with pytest.raises(RunDirError):
        replace_file(path, b"new, and longer")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("refused", [None, errno.ENOTSUP])
def test_where_the_system_can_a_flush_reaches_the_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int | None
) -> None:
    """macOS's fsync does not; F_FULLFSYNC does, but not on every volume."""
    asked = []

    def control(descriptor: int, command: int) -> int:
        asked.append(command)
        if refused is not None:
            raise OSError(refused, "Operation not supported")
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda descriptor: asked.append(-1))
    with (tmp_path / "file").open("wb") as file:
        disk.flush(file.fileno())
    assert asked == ([51] if refused is None else [51, -1])


def test_a_volume_that_cannot_flush_folders_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    disk.replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
