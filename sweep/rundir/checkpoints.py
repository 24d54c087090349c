"""Checkpoint files arriving in the run directory: written in chunks, verified, then given their name."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from runlog.layout import CHECKPOINTS, METRICS, CheckpointName
from sweep.errors import CheckpointError, RunDirError, UnreadableCheckpointError
from sweep.rundir.disk import disk_errors, publish
from sweep.vocabulary.trial import Snapshot

PARTIAL = ".partial"
CHUNK_BYTES = 1 << 20

_writers = itertools.count()
"""A run may be saved twice at one place, by time and at the study's end: each arrives in its own file."""


def stored_name(snapshot: Snapshot) -> str:
    """Where a snapshot is kept, relative to the run directory."""
    return CheckpointName(snapshot.trial, snapshot.replicate, snapshot.examples).path


class CheckpointWriter:
    """Receives one snapshot; without `commit`, leaving the `with` block leaves nothing behind."""

    def __init__(self, path: Path, snapshot: Snapshot, *, on_commit: Callable[[Snapshot], None]) -> None:
        """Begin; `on_commit` is called with the stored snapshot once its file is durable."""
        self._path = path
        self._partial = path.with_name(f"{path.name}.{next(_writers)}{PARTIAL}")
        self._snapshot = snapshot
        self._on_commit = on_commit
        self._hash = hashlib.sha256()
        self._bytes = 0
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb")

    def write(self, chunk: bytes) -> None:
        """Append the next chunk."""
        with disk_errors(self._path):
            self._file.write(chunk)
        self._hash.update(chunk)
        self._bytes += len(chunk)

    def commit(self) -> Snapshot:
        """Verify length and hash, publish the file, record it; gives the snapshot as stored.

        Raises CheckpointError where what arrived is not what was announced; the file is then gone.
        """
        if (self._bytes, self._hash.hexdigest()) != (self._snapshot.bytes, self._snapshot.sha256):
            self.abandon()
            raise CheckpointError(
                f"{self._path}: a checkpoint must arrive as it was sent; announced "
                f"{self._snapshot.bytes} bytes with SHA-256 {self._snapshot.sha256[:12]}, "
                f"found {self._bytes} with {self._hash.hexdigest()[:12]}; it was discarded, send it again"
            )
        with disk_errors(self._path):
            self._file.close()
            publish(self._partial, self._path)
        self._on_commit(self._snapshot)
        return self._snapshot

    def abandon(self) -> None:
        """Remove what was written; after `commit` nothing happens."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()


def read_chunks(run_dir: Path, snapshot: Snapshot) -> Iterator[bytes]:
    """Yield a stored checkpoint in chunks of a megabyte.

    Raises CheckpointError, after the last chunk at the latest, where it is not what was stored: what was
    read must then not be used. Raises UnreadableCheckpointError where it may not be read, sound or not.
    """
    path = run_dir / snapshot.path
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
    except PermissionError as error:
        raise UnreadableCheckpointError(
            f"{path}: cannot be read: {error.strerror}. Make it readable, or move it away"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if digest.hexdigest() != snapshot.sha256:
        raise CheckpointError(
            f"{path}: must have the SHA-256 recorded in the log, {snapshot.sha256[:12]}; "
            f"found {digest.hexdigest()[:12]}; the file is damaged, an earlier one or a new start is needed"
        )


def remove_partial(run_dir: Path) -> None:
    """Remove what killed writers left of files that never became whole."""
    for pattern in ("*", f"{METRICS}/*", f"{CHECKPOINTS}/trial-*/replicate-*/*"):
        for path in run_dir.glob(pattern + PARTIAL):
            path.unlink(missing_ok=True)


def unrecorded(run_dir: Path, recorded: set[str]) -> list[Snapshot]:
    """Describe whole checkpoints that the log does not know: their writer was killed before it committed.

    A file has its name only once it is verified and durable, so these can be trusted. Folders, and links to
    what is not there, are none. Raises RunDirError where one cannot be read.
    """
    found = []
    for path in sorted((run_dir / CHECKPOINTS).glob("trial-*/replicate-*/*.safetensors")):
        relative = path.relative_to(run_dir).as_posix()
        name = CheckpointName.parse(relative)
        if name is not None and relative not in recorded and path.is_file():
            digest = hashlib.sha256()
            try:
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        digest.update(chunk)
            except OSError as error:
                raise RunDirError(
                    f"{path}: cannot be read: {error.strerror or error}. Make it readable, or move it away"
                ) from error
            found.append(Snapshot(*name, relative, path.stat().st_size, digest.hexdigest()))
    return found
