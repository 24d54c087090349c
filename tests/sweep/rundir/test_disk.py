import errno
from pathlib import Path

import pytest

from sweep.errors import RunDirError
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
