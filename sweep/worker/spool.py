"""A worker's own folder of snapshot files, read and written in chunks by calls that touch no MLX."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from sweep.rundir.lock import WriterLock, holder
from sweep.vocabulary.trial import RunId

CHUNK_BYTES = 4 * 1024 * 1024
"""How much travels at once: small beside an object store, large beside a round trip."""


PREFIX = "sweep-spool-"
LOCK = "lock"

SETTLED_S = 5.0
"""A spool this old has taken its lock, if its worker lives."""


class Spool:
    """Snapshot files of one worker; the folder goes with it, or with the next worker where it was killed.

    A lock that ends with its process tells which folders have been left.
    """

    def __init__(self) -> None:
        _remove_left()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = WriterLock(self.folder / LOCK)
        self._written = 0

    def path_for(self, run: RunId, examples: int) -> Path:
        """A fresh path: a file is never written over while it is being read."""
        self._written += 1
        return self.folder / f"{run.trial}-{run.replicate}-{examples}-{self._written}.safetensors"

    def read_chunk(self, path: str, offset: int) -> bytes:
        """At most CHUNK_BYTES from `offset`; empty past the end."""
        with self._own(path).open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)

    def write_chunk(self, name: str, chunk: bytes) -> str:
        """Append to an incoming file, which no other has the name of; its path on this host."""
        path = self.folder / f"incoming-{name}"
        with path.open("ab") as file:
            file.write(chunk)
        return str(path)

    def discard(self, path: str) -> None:
        self._own(path).unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()

    def _own(self, path: str) -> Path:
        """`path`, provided that it lies in this folder."""
        own = Path(path)
        if own.parent != self.folder:
            raise ValueError(f"{path} is not a file of the spool {self.folder}")
        return own


def _remove_left() -> None:
    """Remove the spools of workers on this host that ended without removing them; another user's stay."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            is_settled = time.time() - lock.stat().st_mtime > SETTLED_S
        except OSError:  # it goes just now, or is another user's
            continue
        if is_settled and holder(lock) is None:
            shutil.rmtree(lock.parent, ignore_errors=True)
