import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import RunDirError, RunInUseError
from sweep.rundir.lock import WriterLock, holder, is_elsewhere

HOLD = """
import sys, time
from pathlib import Path
from sweep.rundir.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert holder(path) == process.pid
        with pytest.raises(RunDirError, match=rf"in use by the process {process.pid}; wait for it"):
            WriterLock(path)
        process.kill()
    assert holder(path) is None
    lock = WriterLock(path)
    assert holder(path) == os.getpid()
    lock.release()


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path: Path) -> None:
    assert holder(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["a number in use here", "not in use"])
def test_a_lock_of_another_machine_is_not_this_ones_process(tmp_path: Path, pid: int) -> None:
    """Machines that share a volume share its locks, and their processes have the same numbers."""
    path = tmp_path / "lock"
    lock = WriterLock(path)
    assert not is_elsewhere(path, os.getpid())
    path.write_text(f"{pid}\n")
    away = tmp_path / "away"
    path.rename(away)
    path.hardlink_to(away)  # held, and not open here under that name
    assert is_elsewhere(path, pid)
    said = f"in use by the process {pid} of another machine or container; wait for it, end it there"
    with pytest.raises(RunInUseError, match=said):
        WriterLock(path)
    lock.release()
    assert not is_elsewhere(path, pid)


def test_a_reader_asking_does_not_turn_a_writer_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT)
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_SH)
    monkeypatch.setattr("sweep.rundir.lock.time.sleep", lambda _: fcntl.flock(descriptor, fcntl.LOCK_UN))
    WriterLock(path).release()
    os.close(descriptor)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK])
def test_a_volume_without_locks_is_refused_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "lock").touch()

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(RunDirError, match=r"this volume has no file locks .* pass --runs DIR$"):
        WriterLock(tmp_path / "lock")
    assert holder(tmp_path / "lock") is None
