"""Which checkpoints a run has, by its log: recorded, sent to the store, removed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from runlog.layout import LOG, CheckpointName
from runlog.reader import OnDamage, read_batches
from runlog.records import Record
from runlog.snapshot import Snapshot

KINDS = ("checkpoint", "checkpoint_stored", "checkpoint_removed")
"""The records that `CheckpointsState` takes in."""


@dataclass(frozen=True)
class KeptCheckpoint:
    """A checkpoint that was recorded and not removed.

    `url` is where it lies in the store, None where it lies in the run directory; `time` is when it was
    recorded, in seconds since 1970.
    """

    snapshot: Snapshot
    time: float
    url: str | None = None

    def size_on_disk(self, run_dir: Path) -> int | None:
        """Bytes of its file in the run directory; None where there is none. Raises OSError."""
        try:
            return (run_dir / self.snapshot.path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_there(self, run_dir: Path) -> bool:
        """Whether it lies in the store, by the log, or in the run directory, in whatever state.

        In a folder that may not be read it counts as there.
        """
        try:
            return self.url is not None or self.size_on_disk(run_dir) is not None
        except PermissionError:
            return True


@dataclass
class CheckpointsState:
    """The checkpoints so far by path; feed it records in the order of the log.

    A record whose path is no checkpoint's is passed over: nothing outside can be named.
    """

    kept: dict[str, KeptCheckpoint] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def add(self, record: Record) -> None:
        """Take in one record; other kinds are ignored."""
        if record["event"] not in KINDS or CheckpointName.parse(path := record["path"]) is None:
            return
        known = self.kept.get(path)
        match record["event"]:
            case "checkpoint":
                url = None if known is None else known.url
                self.kept.pop(path, None)
                self.kept[path] = KeptCheckpoint(Snapshot.of(record), record["time"], url)
                self.removed.discard(path)
            case "checkpoint_stored" if known is not None:
                self.kept[path] = replace(known, url=record["url"])
            case "checkpoint_removed":
                self.kept.pop(path, None)
                self.removed.add(path)


def read_checkpoints(run_dir: Path, *, on_damage: OnDamage) -> list[KeptCheckpoint]:
    """The checkpoints that are there, in the order they came."""
    state = CheckpointsState()
    for batch in read_batches(run_dir / LOG, kinds=KINDS, on_damage=on_damage):
        for record in batch:
            state.add(record)
    return [each for each in state.kept.values() if each.is_there(run_dir)]
