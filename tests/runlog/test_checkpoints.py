"""Which checkpoints a run has, by its log."""

from __future__ import annotations

from pathlib import Path

from runlog.checkpoints import CheckpointsState, KeptCheckpoint
from runlog.layout import CheckpointName
from runlog.records import Record
from runlog.snapshot import Snapshot

PATH = CheckpointName(1, 0, 300).path


def recorded(path: str = PATH, time: float = 1.0) -> Record:
    return {
        "event": "checkpoint", "time": time, "trial": 1, "replicate": 0, "examples": 300, "path": path,
        "bytes": 7, "sha256": "aa", "final": True,
    }  # fmt: skip


def stored(url: str = f"file:///share/line/{PATH}") -> Record:
    return {"event": "checkpoint_stored", "time": 2.0, "path": PATH, "url": url}


REMOVED: Record = {"event": "checkpoint_removed", "time": 3.0, "path": PATH}
SNAPSHOT = Snapshot(1, 0, 300, PATH, 7, "aa", final=True)


def state(*records: Record) -> CheckpointsState:
    found = CheckpointsState()
    for record in records:
        found.add(record)
    return found


def test_what_is_recorded_stays_until_it_is_removed() -> None:
    assert state(recorded()).kept == {PATH: KeptCheckpoint(SNAPSHOT, 1.0)}
    removed = state(recorded(), REMOVED)
    assert (removed.kept, removed.removed) == ({}, {PATH})
    again = state(recorded(), REMOVED, recorded(time=4.0))
    assert (again.kept, again.removed) == ({PATH: KeptCheckpoint(SNAPSHOT, 4.0)}, set())


def test_what_was_sent_to_a_store_has_its_url_and_is_there_without_a_file(tmp_path: Path) -> None:
    (here,) = state(recorded()).kept.values()
    (there,) = state(recorded(), stored()).kept.values()
    assert there.url == f"file:///share/line/{PATH}"
    assert there.is_there(tmp_path)
    assert not here.is_there(tmp_path)
    assert state(recorded(), stored(), REMOVED).kept == {}
    assert state(stored()).kept == {}, "a checkpoint whose record is damaged is not known"


def test_a_path_outside_is_no_checkpoint() -> None:
    assert state(recorded("../../etc/hostname")) == CheckpointsState()
    assert state({**REMOVED, "path": "log.jsonl"}) == CheckpointsState()
