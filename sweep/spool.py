"""A worker's own folder of snapshot files, read and written in chunks by calls that touch no MLX."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sweep.trial import RunId

CHUNK_BYTES = 4 * 1024 * 1024
"""How much travels at once: small beside an object store, large beside a round trip."""


class Spool:
    """Snapshot files of one worker; the folder goes with the worker."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sweep-spool-"))
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

    def write_chunk(self, name: str, chunk: bytes, *, first: bool) -> str:
        """Append to an incoming file, begun anew by its `first` chunk; its path on this host."""
        path = self.folder / f"incoming-{Path(name).name}"
        with path.open("wb" if first else "ab") as file:
            file.write(chunk)
        return str(path)

    def discard(self, path: str) -> None:
        self._own(path).unlink(missing_ok=True)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self, path: str) -> Path:
        """`path`, provided that it lies in this folder."""
        own = Path(path)
        if own.parent != self.folder:
            raise ValueError(f"{path} is not a file of the spool {self.folder}")
        return own
