import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir import disk
from sweep.rundir.disk import disk_errors, replace_file, set_aside


def test_a_full_disk_is_named_with_its_free_bytes_and_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(RunDirError, match=r"new/file: the disk is full \(\d+ bytes free\): .*free some space"),
        disk_errors(tmp_path / "new" / "file"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_in_a_folder_that_is_refused_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "metrics").touch()
    with (
        pytest.raises(RunDirError, match=r"/metrics: cannot be written: File exists"),
        disk_errors(tmp_path),
    ):
        (tmp_path / "metrics").mkdir(exist_ok=True)


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        (tmp_path / "study.yaml").write_text(text)
        assert set_aside(tmp_path, "study.yaml", "why") == "study.yaml is damaged and was set aside: why"
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {
        "study.yaml.damaged": "one",
        "study.yaml.damaged-2": "two",
        "study.yaml.damaged-3": "three",
    }
    set_aside(tmp_path, "study.yaml", "it has gone meanwhile")


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
