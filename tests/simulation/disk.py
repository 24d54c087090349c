"""A disk that a process can be killed over at any change, that loses power, is full, or fails to sync.

Files are real ones below one folder. While it is installed, every change to them goes through here:
`os.write`, `fsync`, `ftruncate`, `replace`, `unlink` and files opened for writing. A kill leaves what was
written; a power cut leaves what was synced, and of the rest a part: of appended bytes a beginning, of names
those made first.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from tests.simulation.executor import Killed
from tests.simulation.recipe import Death


@dataclass
class _Name:
    """A change to a folder that is not durable yet, and how it is taken back."""

    folder: str
    undo: Callable[[], None]


class SimulatedDisk:
    """One folder; `begin` starts a session on it, `reboot` is what comes after the death of one."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.changes = 0
        self._death: Death | None = None
        self._dead = False
        self._paths: dict[int, str] = {}
        self._before: dict[str, bytes] = {}
        self._names: list[_Name] = []
        self._files: list[Any] = []
        self._real = {
            name: getattr(os, name)
            for name in ("open", "write", "fsync", "ftruncate", "replace", "unlink", "close", "mkdir")
        }
        self._open = io.open

    def begin(self, death: Death | None) -> None:
        """A session begins, and dies at a change of its own."""
        self.changes, self._death, self._dead = 0, death, False
        self._paths.clear()

    def reboot(self) -> None:
        """After a death: what a power cut takes is gone."""
        if self._dead:
            for descriptor in list(self._paths):  # a dead process holds no lock
                self._close(descriptor)
            for file in self._files:
                file.close()
        if self._death is not None and self._death.kind == "power" and self._dead:
            self._cut_power(self._death.share)
        self._before.clear()
        self._names.clear()
        self._paths.clear()
        self._files.clear()
        self._dead = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Every change below the folder goes through here."""
        own = {name: getattr(self, f"_{name}") for name in self._real if name != "open"}
        with mock.patch.multiple(os, open=self._os_open, **own), mock.patch.object(io, "open", self._file):
            yield

    @contextmanager
    def uninstalled(self) -> Iterator[None]:
        """What another process does: its changes are its own, and durable."""
        with mock.patch.multiple(os, **self._real), mock.patch.object(io, "open", self._open):
            yield

    # What is called in the place of the system's

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        text = os.fspath(path)
        if not self._is_ours(text):
            return int(self._real["open"](path, flags, mode, **more))
        fresh = bool(flags & os.O_CREAT) and not os.path.exists(text)
        if fresh:
            self._change()
        descriptor = int(self._real["open"](path, flags, mode, **more))
        self._paths[descriptor] = text
        if fresh:
            self._created(text)
        return descriptor

    def _close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        self._real["close"](descriptor)

    def _write(self, descriptor: int, data: Any) -> int:
        path = self._paths.get(descriptor)
        if path is None:
            return int(self._real["write"](descriptor, data))
        torn = self._change(len(data))
        self._will_change(path)
        written = int(self._real["write"](descriptor, data if torn is None else bytes(data)[:torn]))
        self._die_if_torn(torn)
        return written

    def _fsync(self, descriptor: int) -> None:
        path = self._paths.get(descriptor)
        if path is None:
            return self._real["fsync"](descriptor)  # type: ignore[no-any-return]
        self._change(syncs=True)
        self._before.pop(path, None)
        self._names = [each for each in self._names if each.folder != path]
        return None

    def _ftruncate(self, descriptor: int, length: int) -> None:
        path = self._paths.get(descriptor)
        if path is not None:
            self._change(grows=False)
            self._will_change(path)
        self._real["ftruncate"](descriptor, length)

    def _replace(self, source: Any, target: Any) -> None:
        old, new = os.fspath(source), os.fspath(target)
        if not self._is_ours(new):
            return self._real["replace"](old, new)  # type: ignore[no-any-return]
        self._change()
        covered = Path(new).read_bytes() if self._tracks and os.path.exists(new) else None
        self._real["replace"](old, new)
        if self._tracks:
            if old in self._before:
                self._before[new] = self._before.pop(old)
            self._names.append(_Name(os.path.dirname(new), lambda: self._move_back(new, old, covered)))
        return None

    def _unlink(self, path: Any, **more: Any) -> None:
        text = os.fspath(path)
        if self._is_ours(text) and os.path.exists(text):
            self._change(grows=False)
            if self._tracks:
                data = self._before.pop(text, None)
                kept = Path(text).read_bytes() if data is None else data
                self._names.append(_Name(os.path.dirname(text), lambda: self._put(text, kept)))
        self._real["unlink"](path, **more)

    def _mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        if self._is_ours(os.fspath(path)) and not os.path.exists(path):
            self._change()
        self._real["mkdir"](path, mode, **more)

    def _file(self, path: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        if isinstance(path, int) or not self._is_ours(os.fspath(path)) or not set(mode) & set("wax+"):
            return self._open(path, mode, buffering, *rest, **more)
        text = os.fspath(path)
        self._change()
        fresh = not os.path.exists(text)
        if not fresh:
            self._will_change(text)
        file = self._open(path, mode, 0)
        if fresh:
            self._created(text)
        self._files.append(file)
        return _File(file, self, text)

    # What becomes of a change

    @property
    def _tracks(self) -> bool:
        """Whether this session may end with a power cut, so that it must be known what is durable."""
        return self._death is not None and self._death.kind == "power"

    def _is_ours(self, path: object) -> bool:
        return isinstance(path, str) and path.startswith(self.root)

    def _change(self, size: int | None = None, *, syncs: bool = False, grows: bool = True) -> int | None:
        """Count a change, which may be the last; of how many bytes of a write it is done before that."""
        if self._dead:
            raise Killed
        self.changes += 1
        death = self._death
        if death is None or self.changes < death.at:
            return None
        match death.kind:
            case "full" if grows and not syncs:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "fsync" if syncs and self.changes >= death.at:
                self._death = None
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "kill" | "power":
                if size is None:
                    self.die()
                return int(death.share * (size or 0))
            case _:
                return None

    def die(self) -> NoReturn:
        """The process that writes here is killed: nothing after it is done."""
        self._dead = True
        raise Killed

    def _die_if_torn(self, torn: int | None) -> None:
        if torn is not None:
            self.die()

    def _created(self, path: str) -> None:
        if self._tracks:
            self._before[path] = b""
            self._names.append(_Name(os.path.dirname(path), lambda: self._remove(path)))

    def _will_change(self, path: str) -> None:
        if self._tracks and path not in self._before:
            self._before[path] = Path(path).read_bytes()

    # A power cut

    def _cut_power(self, share: float) -> None:
        for path, before in self._before.items():
            if os.path.exists(path):
                after = Path(path).read_bytes()
                grown = len(after) - len(before)
                kept = after[: len(before) + int(grown * share)] if after.startswith(before) else before
                Path(path).write_bytes(kept)
        for name in reversed(self._names[int(len(self._names) * share) :]):
            name.undo()

    def _move_back(self, new: str, old: str, covered: bytes | None) -> None:
        if os.path.exists(new):
            self._real["replace"](new, old)
        if covered is not None:
            Path(new).write_bytes(covered)

    def _put(self, path: str, data: bytes) -> None:
        Path(path).write_bytes(data)

    def _remove(self, path: str) -> None:
        if os.path.exists(path):
            self._real["unlink"](path)


class _File:
    """A file opened for writing, of which every write is a change."""

    def __init__(self, file: Any, disk: SimulatedDisk, path: str) -> None:
        self._file = file
        self._disk = disk
        self._path = path

    def write(self, data: bytes) -> int:
        torn = self._disk._change(len(data))
        self._disk._will_change(self._path)
        written = int(self._file.write(data if torn is None else data[:torn]))
        self._disk._die_if_torn(torn)
        return written

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
