"""The checkpoints that a run directory keeps: each file and what the log says of it, changed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from runlog.layout import CheckpointName
from sweep.errors import CheckpointError, UnreadableCheckpointError
from sweep.rundir.checkpoints import CheckpointWriter, read_chunks, stored_name, unrecorded
from sweep.rundir.disk import disk_errors, set_aside
from sweep.rundir.history import History
from sweep.vocabulary.trial import RunId, Snapshot


class Append(Protocol):
    """Takes a record for the log's next commit."""

    def __call__(self, event: str, **fields: object) -> None: ...


class KeptCheckpoints:
    """What the log knows, in the order it came. A file goes only once the log says so on disk."""

    def __init__(self, run_dir: Path, history: History, append: Append) -> None:
        self._run_dir = run_dir
        self._append = append
        self._kept = dict(history.checkpoints)
        self.stored = dict(history.stored_checkpoints)
        self._going: list[str] = []

    @property
    def kept(self) -> list[Snapshot]:
        """The checkpoints kept, in the order they came; paths are relative to the run directory."""
        return list(self._kept.values())

    def adopt(self, history: History) -> None:
        """Record what the log should say of the files: which are damaged, and which it does not know."""
        for path in history.damaged_checkpoints:
            self.set_aside(path, "its size is not the recorded one")
        for path in (*history.removed_checkpoints, *history.stored_checkpoints):
            (self._run_dir / path).unlink(missing_ok=True)  # killed between its record and its removal
        for snapshot in unrecorded(self._run_dir, set(self._kept)):
            self._record(snapshot)

    def begin(self, snapshot: Snapshot) -> CheckpointWriter:
        """Receive a snapshot; its `path` on the host it comes from is replaced by the one it gets here."""
        stored = replace(snapshot, path=stored_name(snapshot))
        return CheckpointWriter(self._run_dir / stored.path, stored, on_commit=self._record)

    def record_stored(self, path: str, url: str) -> None:
        """Record that a checkpoint now lies in the store; its file here goes with the next commit."""
        self.stored[path] = url
        self._append("checkpoint_stored", path=path, url=url)
        self._going.append(path)

    def remove(self, path: str) -> None:
        """Delete a checkpoint by its relative path, with the next commit.

        Raises CheckpointError where the path names none of ours.
        """
        if CheckpointName.parse(path) is None:
            raise CheckpointError(f"{path}: is no checkpoint of {self._run_dir}; nothing was deleted")
        self._kept.pop(path, None)
        self.stored.pop(path, None)
        self._append("checkpoint_removed", path=path)
        self._going.append(path)

    def mark_final(self, number: int, *, at: int | None = None) -> None:
        """A trial has ended where its last checkpoints are: record them as the final ones.

        With `at`, only those that stand there, in examples: of what a killed driver had received and not
        recorded, no more is known than where it stands.
        """
        last = {each.run: each for each in sorted(self.kept, key=lambda each: each.examples)}
        for snapshot in last.values():
            if snapshot.trial == number and not snapshot.final and at in (None, snapshot.examples):
                self._record(replace(snapshot, final=True))

    def sound(
        self, number: int, wanted: Callable[[Snapshot], bool] = lambda _: True
    ) -> dict[RunId, Snapshot]:
        """Each run's last wanted checkpoint whose bytes are the recorded ones; others are set aside.

        Raises UnreadableCheckpointError: one that may not be read may be sound.
        """
        sound: dict[RunId, Snapshot] = {}
        for snapshot in self._last_first(lambda each: each.trial == number and wanted(each)):
            if snapshot.run not in sound and self._is_sound(snapshot):
                sound[snapshot.run] = snapshot
        return sound

    def last_sound(self, wanted: Callable[[Snapshot], bool]) -> Snapshot | None:
        """The wanted checkpoint of any run that stands furthest and is sound; others are set aside.

        Raises UnreadableCheckpointError.
        """
        return next(filter(self._is_sound, self._last_first(wanted)), None)

    def _last_first(self, wanted: Callable[[Snapshot], bool]) -> list[Snapshot]:
        return sorted(filter(wanted, self.kept), key=lambda each: each.examples, reverse=True)

    def _is_sound(self, snapshot: Snapshot) -> bool:
        """Whether its bytes are the recorded ones; it is set aside where they are not."""
        try:
            for _ in read_chunks(self._run_dir, snapshot):
                pass
        except UnreadableCheckpointError:
            raise
        except CheckpointError as error:
            self.set_aside(snapshot.path, str(error))
            return False
        return True

    def set_aside(self, path: str, why: str) -> None:
        """Rename a damaged checkpoint to `.damaged`, and say so in the log."""
        self._kept.pop(path, None)
        self._append("checkpoint_removed", path=path)
        self._append("message", level="warning", text=set_aside(self._run_dir, path, why))

    def delete_removed(self) -> None:
        """Delete the files whose removal is on disk in the log. Raises RunDirError where the disk refuses."""
        while self._going:
            path = self._run_dir / self._going.pop()
            with disk_errors(path):
                path.unlink(missing_ok=True)

    def _record(self, snapshot: Snapshot) -> None:
        self._kept.pop(snapshot.path, None)
        self._kept[snapshot.path] = snapshot
        if snapshot.path in self._going:
            self._going.remove(snapshot.path)
        self._append("checkpoint", **snapshot.as_fields())
