"""Optuna's journal file, written by one process in groups: the same format as Optuna's own backend.

Optuna's `JournalFileBackend` takes a lock and waits for the disk at every record, and fails on a last line
that a kill cut off. Here the run directory's lock stands for the whole session, records wait for `commit`,
and a torn line is cut off when the file is opened. Readers (optuna-dashboard, `optuna.load_study`) open the
file with Optuna's own backend at any time.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from runlog.reader import whole_bytes
from sweep.log import LogWriter


class GroupCommitBackend(BaseJournalBackend):
    """The journal at `path`; what was appended is on disk once `commit` returns.

    Only this object appends. Records in the file are read once, when the storage first asks; later ones
    are handed back from memory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = whole_bytes(path)
        self._log = LogWriter(path, size=self._size)
        self._recent: deque[dict[str, Any]] = deque()
        self._first_recent: int | None = None

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Records from number `log_number_from` on, counted from 0."""
        if self._first_recent is None:
            count = 0
            for count, record in enumerate(self._stored(), start=1):
                if count > log_number_from:
                    yield record
            self._first_recent = count
        while self._recent and self._first_recent < log_number_from:
            self._recent.popleft()
            self._first_recent += 1
        yield from list(self._recent)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take records for the next commit; reading gives them back at once."""
        for record in logs:
            text = json.dumps(record, separators=(",", ":"))
            self._log.append(text.encode() + b"\n")
            self._recent.append(json.loads(text))

    def commit(self) -> None:
        """Wait until all records are on disk. Raises RunDirError where the disk refuses."""
        self._log.commit()

    def close(self) -> None:
        self._log.close()

    def _stored(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            left = self._size
            for line in file:
                left -= len(line)
                if left < 0:
                    return
                yield json.loads(line)
