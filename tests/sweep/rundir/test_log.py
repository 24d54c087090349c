import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir.log import LogWriter

LIMITED = """
import resource, sys
from pathlib import Path
from sweep.errors import RunDirError
from sweep.rundir.log import LogWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 1000))
log = LogWriter(Path(sys.argv[1]), size=0)
log.append(b"a" * 59 + b"\\n")
log.commit()
log.append(b"b" * 59 + b"\\n")
try:
    log.commit()
except RunDirError as error:
    print(error)
print(Path(sys.argv[1]).stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log.commit()
"""


def test_nothing_is_written_before_the_commit_and_all_by_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = LogWriter(path, size=0)
    log.append(b"1\n")
    log.append(b"2\n")
    assert path.read_bytes() == b""
    assert log.commit() == 4
    assert path.read_bytes() == b"1\n2\n"
    assert log.commit() == 4
    log.close()


def test_a_group_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogWriter(tmp_path / "log.jsonl", size=0)
    synced: list[int] = []
    monkeypatch.setattr("sweep.rundir.log.os.fsync", synced.append)
    for _ in range(1000):
        log.append(b"line\n")
    log.commit()
    assert len(synced) == 1
    log.close()


def test_a_torn_line_is_cut_off_by_the_first_commit_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"1\n2\n{torn")
    log = LogWriter(path, size=4)
    log.commit()
    log.append(b"3\n")
    assert path.read_bytes() == b"1\n2\n{torn"
    log.commit()
    assert path.read_bytes() == b"1\n2\n3\n"
    log.close()


@pytest.mark.parametrize("written", [0, 3])
def test_a_full_disk_leaves_the_log_whole_and_the_lines_to_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    path = tmp_path / "log.jsonl"
    log = LogWriter(path, size=0)
    log.append(b"1\n")
    log.commit()
    log.append(b"2 is long\n")
    write, calls = os.write, iter((written, None))

    def fill(descriptor: int, data: memoryview) -> int:
        if count := next(calls):
            return write(descriptor, data[:count])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sweep.rundir.log.os.write", fill)
        with pytest.raises(RunDirError, match=r"log.jsonl: the disk is full \(\d+ bytes free\)"):
            log.commit()
    assert path.read_bytes() == b"1\n"
    log.commit()
    assert path.read_bytes() == b"1\n2 is long\n"
    log.close()


def test_a_real_limit_on_the_file_behaves_as_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    message, size = done.stdout.splitlines()
    assert "the disk is full" in message
    assert size == "60"
    assert path.read_bytes() == b"a" * 59 + b"\n" + b"b" * 59 + b"\n"
