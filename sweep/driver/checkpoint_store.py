"""Another place for the checkpoints of ended trials than the run directory: any that fsspec can write to.

What is on its way there stays in the run directory until it has arrived, so a store that cannot be reached
loses nothing. Sent and removed in a thread of its own, one after another.
Source: https://filesystem-spec.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join
from queue import SimpleQueue

import fsspec

from configfile.nearest import remedy
from sweep.errors import Problem, RunDirError
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Snapshot


@dataclass(frozen=True)
class Stored:
    """A checkpoint has arrived in the store."""

    snapshot: Snapshot
    url: str


@dataclass(frozen=True)
class Removed:
    """A checkpoint is gone from the store."""

    snapshot: Snapshot


@dataclass(frozen=True)
class Refused:
    """The store would not take or remove a checkpoint."""

    snapshot: Snapshot
    reason: str


Answer = Stored | Removed | Refused


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the URL in the study file."""
    url = spec.checkpoints.store
    if url is None:
        return []
    protocol = url.split("://", 1)[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        rule = "must begin with a protocol that fsspec knows"
        cure = remedy(protocol, fsspec.available_protocols())
    except ImportError as error:
        rule, cure = f"needs a package that is not installed: {error}", "install it where the driver runs"
    else:
        return []
    return [spec.document.problem(("checkpoints", "store"), rule, url, cure)]


class Store:
    """A folder of one study under a URL. No call blocks but `check`."""

    def __init__(self, url: str, study: str) -> None:
        """Raises RunDirError where the URL cannot be understood."""
        self.url = join(url, study)
        try:
            self._files, self._folder = fsspec.core.url_to_fs(self.url)
        except Exception as error:  # each kind of store raises errors of its own
            raise RunDirError(f"checkpoints.store {url}: cannot be opened: {error}") from error
        self._work: SimpleQueue[tuple[Snapshot, Path | None] | None] = SimpleQueue()
        self._done: SimpleQueue[Answer] = SimpleQueue()
        self._pending: set[str] = set()
        # A daemon: a share that hangs must not keep the driver from ending.
        threading.Thread(target=self._serve, name="store", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._pending)

    def check(self) -> None:
        """Make the folder. Raises RunDirError where that cannot be done, before anything is trained."""
        try:
            self._files.makedirs(self._folder, exist_ok=True)
        except Exception as error:  # as above
            raise RunDirError(
                f"checkpoints.store {self.url}: must be a place that can be written to; found: {error}; "
                "mount or unlock it, or leave `store` out to keep checkpoints in the run directory"
            ) from error

    def send(self, snapshot: Snapshot, file: Path) -> None:
        """Begin to copy a file of the run directory there, unless that is under way."""
        self._begin(snapshot, file)

    def remove(self, snapshot: Snapshot) -> None:
        """Begin to remove what was sent before."""
        self._begin(snapshot, None)

    def answers(self) -> list[Answer]:
        """What has come to its end since this was asked last."""
        found = []
        while not self._done.empty():
            found.append(self._done.get())
            self._pending.discard(found[-1].snapshot.path)
        return found

    def close(self) -> None:
        """Begin nothing further."""
        self._work.put(None)

    def _begin(self, snapshot: Snapshot, file: Path | None) -> None:
        if snapshot.path not in self._pending:
            self._pending.add(snapshot.path)
            self._work.put((snapshot, file))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            snapshot, file = work
            try:
                self._done.put(self._remove(snapshot) if file is None else self._send(snapshot, file))
            except Exception as error:  # as above: it is the store's word why it refuses
                self._done.put(Refused(snapshot, str(error) or type(error).__name__))

    def _send(self, snapshot: Snapshot, file: Path) -> Answer:
        path = join(self._folder, snapshot.path)
        self._files.makedirs(dirname(path), exist_ok=True)
        self._files.put_file(str(file), path)
        size = self._files.size(path)
        if size != snapshot.bytes:
            return Refused(snapshot, f"{snapshot.bytes} bytes were sent, {size} are there")
        return Stored(snapshot, join(self.url, snapshot.path))

    def _remove(self, snapshot: Snapshot) -> Answer:
        path = join(self._folder, snapshot.path)
        if self._files.exists(path):
            self._files.rm_file(path)
        return Removed(snapshot)
