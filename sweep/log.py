"""The append-only log: lines gathered in memory, then written and fsynced together (group commit)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sweep.disk import disk_errors, sync_directory


class LogWriter:
    """Appends lines to one file, which ends after a whole line whenever `commit` is not running.

    Bytes after `size` are what a killed writer left of its last commit: the first commit cuts them off,
    and so does the next one after a commit that failed, which loses no line.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        """Open the log; its first `size` bytes are whole lines."""
        self.path = path
        self.size = size
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            sync_directory(path.parent)
        self._pending: list[bytes] = []

    def append(self, line: bytes) -> None:
        """Take one line, its newline included, for the next commit."""
        self._pending.append(line)

    def commit(self) -> int:
        """Write what was appended and wait until it is on disk; gives the log's new size.

        Raises RunDirError where the disk refuses: the log then ends where it did, and the lines stay
        with the next commit.
        """
        if self._pending:
            data = b"".join(self._pending)
            with disk_errors(self.path):
                self._write(data)
            self.size += len(data)
            self._pending.clear()
        return self.size

    def _write(self, data: bytes) -> None:
        if os.fstat(self._descriptor).st_size != self.size:
            os.ftruncate(self._descriptor, self.size)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise

    def close(self) -> None:
        """Close the file; lines not committed are dropped."""
        os.close(self._descriptor)
