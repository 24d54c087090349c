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
from fsspec.implementations.local import LocalFileSystem

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


class CheckpointStore:
    """A folder of one study under a URL; checkpoints have the same paths there as in the run directory."""

    def __init__(self, url: str) -> None:
        """Raises RunDirError where the URL cannot be understood."""
        self.url = url
        try:
            self._files, self._folder = fsspec.core.url_to_fs(url)
        except Exception as error:  # each kind of store raises errors of its own
            raise RunDirError(f"checkpoints.store {url}: cannot be opened: {error}") from error

    def check(self) -> None:
        """Make the folder. Raises RunDirError where that cannot be done, before anything is trained."""
        try:
            self._files.makedirs(self._folder, exist_ok=True)
        except Exception as error:  # as above
            raise RunDirError(
                f"checkpoints.store {self.url}: cannot be written to: {error}. "
                "Mount or unlock it, or leave `store` out to keep checkpoints in the run directory"
            ) from error

    def send(self, snapshot: Snapshot, file: Path) -> str:
        """Copy a file of the run directory there; gives its URL. Raises what the store raises."""
        path = join(self._folder, snapshot.path)
        self._files.makedirs(dirname(path), exist_ok=True)
        self._files.put_file(str(file), path)
        size = self._files.size(path)
        if size != snapshot.bytes:
            raise OSError(f"{snapshot.bytes} bytes were sent, {size} are there")
        return join(self.url, snapshot.path)

    def remove(self, snapshot: Snapshot) -> None:
        """Remove what was sent before; nothing happens where it is gone. Raises what the store raises."""
        path = join(self._folder, snapshot.path)
        if self._files.exists(path):
            self._files.rm_file(path)
        elif isinstance(self._files, LocalFileSystem) and not self._files.isdir(self._folder):
            raise OSError(f"{self._folder} is not there")  # a share that is not mounted has lost nothing


def remove_stored(snapshot: Snapshot, url: str) -> None:
    """Remove a checkpoint by the URL recorded of it. Raises RunDirError where the store refuses."""
    root = url.removesuffix(f"/{snapshot.path}")
    if root == url:
        raise RunDirError(f"{url}: is not the URL of {snapshot.path}; nothing was deleted")
    store = CheckpointStore(root)
    try:
        store.remove(snapshot)
    except Exception as error:  # each kind of store raises errors of its own
        raise RunDirError(
            f"{url}: the store refuses to delete it: {error}. The checkpoint is still recorded; "
            "mount or unlock the store and run the same command again"
        ) from error


def open_store(spec: StudySpec) -> StoreThread | None:
    """The study's store, made where it is missing; None where it has none. Raises RunDirError."""
    if spec.checkpoints.store is None:
        return None
    store = CheckpointStore(join(spec.checkpoints.store, spec.name))
    store.check()
    return StoreThread(store)


class StoreThread:
    """Sends to a store, and removes from where a checkpoint was sent, one after another. No call blocks."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._work: SimpleQueue[tuple[Snapshot, Path | str] | None] = SimpleQueue()
        self._done: SimpleQueue[Answer] = SimpleQueue()
        self._pending: set[str] = set()
        # A daemon: a share that hangs must not keep the driver from ending.
        threading.Thread(target=self._serve, name="store", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._pending)

    def send(self, snapshot: Snapshot, file: Path) -> None:
        """Begin to copy a file of the run directory there, unless that is under way."""
        self._begin(snapshot, file)

    def remove(self, snapshot: Snapshot, url: str) -> None:
        """Begin to remove what was sent before, to this URL: the study may have had another store then."""
        self._begin(snapshot, url)

    def answers(self) -> list[Answer]:
        """What has finished since the last call."""
        found = []
        while not self._done.empty():
            found.append(self._done.get())
            self._pending.discard(found[-1].snapshot.path)
        return found

    def close(self) -> None:
        """Begin nothing further."""
        self._work.put(None)

    def _begin(self, snapshot: Snapshot, place: Path | str) -> None:
        if snapshot.path not in self._pending:
            self._pending.add(snapshot.path)
            self._work.put((snapshot, place))

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            self._done.put(self._carry_out(*work))

    def _carry_out(self, snapshot: Snapshot, place: Path | str) -> Answer:
        try:
            if isinstance(place, Path):
                return Stored(snapshot, self._store.send(snapshot, place))
            remove_stored(snapshot, place)
        except Exception as error:  # as above: it is the store's word why it refuses
            return Refused(snapshot, str(error) or type(error).__name__)
        return Removed(snapshot)
