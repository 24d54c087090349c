"""A trial's folder and its checkpoints: unpacked where the trial resumes, packed when that is due."""

from __future__ import annotations

import shutil
import time
from math import inf
from pathlib import Path

from sweep.errors import CheckpointError
from sweep.vocabulary.trial import Snapshot
from sweep.vocabulary.turn import Load
from sweep.worker.single import packed_folder
from sweep.worker.single.folder_contents import contents

SAVE_EVERY_S = 0.25
"""What a trial has asked to be saved is taken this often at most."""

SAVE_SHARE = 20
"""Saving may take one part in so many of a trial's time."""


class SavedFolder:
    """The folder of one trial that is loaded; `resumed` is where its checkpoint stands, in examples.

    Without a checkpoint it is not there before the trial makes it: most keep nothing, and pay for nothing.
    """

    def __init__(self, load: Load, path: Path) -> None:
        """Raises CheckpointError where what the trial resumes from is another run's, or damaged."""
        self.path = path
        self.resumed = 0
        self.pack_s = 0.0
        self._load = load
        self._saved_at = -inf
        self._packed: object = ()
        self._left_out: list[Path] = []
        self._said: set[Path] = set()
        if load.checkpoint is not None:
            self.remove()
            path.mkdir(parents=True)
            facts = packed_folder.unpack(Path(load.checkpoint), path)
            if facts.get("run") != _run_text(load):
                raise CheckpointError(
                    f"{load.checkpoint}: is of another run than trial {load.plan.number}, "
                    f"replicate {load.replicate}"
                )
            self.resumed = int(facts["examples"])
            self._packed = _state(path)

    @property
    def state(self) -> object:
        """What lies in it, such that a file written again makes a difference."""
        return _state(self.path)

    def is_due(self, every_s: float | None, *, asked: bool) -> bool:
        """Whether it is time for a checkpoint; where one is `asked` for, once it slows nothing down."""
        if asked:
            every_s = max(SAVE_EVERY_S, SAVE_SHARE * self.pack_s)
        return every_s is not None and time.perf_counter() - self._saved_at >= every_s

    def pack(
        self, into: Path, examples: int, *, final: bool = False, value: float | None = None
    ) -> Snapshot | None:
        """Pack it into a file, where something was kept in it since the last time. Raises OSError.

        None, and no file, where there is nothing, or where it was written to meanwhile. Where the disk
        refuses, the next one is due as if this had been one.
        """
        state = _state(self.path)
        if not state or (state == self._packed and not final and value is None):
            return None
        began = time.perf_counter()
        run, found = self._load.run, contents(self.path)
        facts = {"run": _run_text(self._load), "examples": str(examples)}
        try:
            sha256 = packed_folder.pack(self.path, found, into, facts)
        except OSError as error:
            into.unlink(missing_ok=True)
            if isinstance(error, FileNotFoundError):  # a file was removed just now
                return None
            self._saved_at = time.perf_counter()
            raise
        if _state(self.path) != state:  # parts of two checkpoints are none
            into.unlink()
            return None
        self._packed, self._saved_at = state, time.perf_counter()
        self._left_out = found.left_out
        self.pack_s = self._saved_at - began
        size = into.stat().st_size
        return Snapshot(run.trial, run.replicate, examples, str(into), size, sha256, final, value)

    def take_notes(self) -> list[str]:
        """What lies in the folder and was not kept with it, each said once."""
        new = [name for name in self._left_out if name not in self._said]
        self._said.update(new)
        what = "is a link out of the trial's folder and is not kept. Copy what it leads to"
        return [f"trial {self._load.plan.number}: {name} {what}" for name in new]

    def remove(self) -> None:
        """Remove the folder, if it is there."""
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)


def _state(folder: Path) -> tuple[tuple[object, ...], ...]:
    """What lies in a folder, such that a file written again makes a difference; () without files."""
    if not folder.is_dir():  # most functions keep nothing
        return ()
    found, state = contents(folder), list[tuple[object, ...]]()
    for name in found.files:
        try:
            at = (folder / name).stat()
        except FileNotFoundError:  # a command renamed it just now
            continue
        state.append((name.as_posix(), at.st_size, at.st_mtime_ns, at.st_mode))
    state += [(name.as_posix(), target) for name, target in found.links.items()]
    return (*state, tuple(found.folders)) if state else ()


def _run_text(load: Load) -> str:
    """What tells a run from all others of its study, as its key does."""
    plan = load.plan
    number = plan.number if plan.key_number is None else plan.key_number
    return f"{plan.seed} {number} {load.replicate}"
