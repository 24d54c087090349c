"""The append-only log: lines gathered in memory, then written and fsynced together (group commit)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runlog.integrity import checksum
from runlog.integrity.chain import sum_before
from runlog.records import encode
from sweep.errors import RunDirError
from sweep.rundir.disk import disk_errors, flush, sync_directory


class LogWriter:
    """Appends lines to one file, which ends after a whole line whenever no method is running.

    Bytes after the first `size` that an earlier writer left are what a kill tore: the first write cuts
    them off. What was written outlives this process, what was committed a power cut too; a failure of
    either loses no line, the next call tries again.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        """Open the log; its first `size` bytes are whole lines."""
        self.path = path
        self.size = size
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            sync_directory(path.parent)
        self._pending: list[bytes] = []
        self._written: list[bytes] = []
        self._end = size

    @property
    def dirty(self) -> bool:
        """Whether a commit would have anything to do."""
        return bool(self._pending or self._written)

    def append(self, line: bytes) -> None:
        """Take one line, its newline included, for the next write."""
        self._pending.append(line)

    def write(self) -> None:
        """Hand what was appended to the system, without waiting for the disk. Raises RunDirError."""
        if not self._pending:
            return
        data = b"".join(self._pending)
        with disk_errors(self.path):
            self._write(data)
        self._written.append(data)
        self._end += len(data)
        self._pending.clear()

    def commit(self) -> int:
        """Write what was appended and wait until it is on disk; gives the log's new size.

        Raises RunDirError where the disk refuses: the log then ends where it last was known to be on
        disk, and the lines stay with the next commit.
        """
        self.write()
        if self._written:
            try:
                with disk_errors(self.path):
                    flush(self._descriptor)
            except RunDirError:
                self._take_back()
                raise
            self.size = self._end
            self._written.clear()
        return self.size

    def _write(self, data: bytes) -> None:
        if os.fstat(self._descriptor).st_size != self._end:
            os.ftruncate(self._descriptor, self._end)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise

    def _take_back(self) -> None:
        """After a failed sync the disk's content is unknown: all since the last commit is written again."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self.size)
        self._pending = [*self._written, *self._pending]
        self._written.clear()
        self._end = self.size

    def close(self) -> None:
        """Close the file; lines not written are dropped."""
        os.close(self._descriptor)


class RecordLog(LogWriter):
    """The log of a run directory: each line has a checksum and follows the one before it."""

    def __init__(self, path: Path, *, size: int) -> None:
        """As LogWriter."""
        super().__init__(path, size=size)
        with disk_errors(path):
            self._previous = sum_before(path, size) or checksum.START

    def record(self, event: str, time: float, fields: Mapping[str, Any]) -> None:
        """Take one record for the next write."""
        line, self._previous = checksum.seal(encode(event, time, fields), self._previous)
        self.append(line)
