"""Checkpoints on their way to and from workers, in chunks: Ray's object store is small."""

from __future__ import annotations

import os
from typing import Any

from sweep.errors import CheckpointError
from sweep.executors.ray.calls import ChunkCall, PendingCalls
from sweep.vocabulary.trial import Snapshot
from sweep.worker.spool import CHUNK_BYTES


class Transfers:
    """Sends checkpoint files to workers and asks for pieces of theirs."""

    def __init__(self, calls: PendingCalls) -> None:
        self._calls = calls
        self._sent = 0

    def send(self, actor: Any, path: str) -> Any:
        """Send a checkpoint file to the worker's host; a reference to its path there.

        It gets a name of its own: checkpoints of several trials have one name, each in its trial's folder.
        Raises CheckpointError where the file cannot be read.
        """
        self._sent += 1
        name = f"{self._sent}-{os.path.basename(path)}"
        try:
            with open(path, "rb") as file:
                arrived = actor.write_chunk.remote(name, file.read(CHUNK_BYTES))
                while chunk := file.read(CHUNK_BYTES):
                    arrived = actor.write_chunk.remote(name, chunk)
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot resume a trial, its checkpoint cannot be read: {error.strerror}. Restore "
                "the file if you can, and run the same command: trials resume from what is there"
            ) from error
        return arrived

    def fetch(self, slot: str, actor: Any, snapshot: Snapshot, offset: int) -> None:
        """Ask for a snapshot's bytes from `offset` on."""
        self._calls.add(actor.read_chunk.remote(snapshot.path, offset), ChunkCall(slot, snapshot, offset))
