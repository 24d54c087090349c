"""Which trials each process holds, in a file of its own that is locked for as long as it lives.

An owner that ends takes nothing along: the next one reads here who holds what.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from sweep.rundir.disk import disk_errors
from sweep.rundir.lock import OwnProcess

SUFFIX = ".held"


def new_name() -> str:
    """A name for one who holds trials, with the id of its process."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


class Holding(OwnProcess):
    """The file of one who holds trials, by its name."""

    def __init__(self, folder: Path, who: str) -> None:
        super().__init__()
        self._path = folder / f"{who}{SUFFIX}"
        fresh = folder / f".{who}"  # under this name it is read by none before it is locked
        with disk_errors(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            fresh.rename(self._path)

    def write(self, numbers: list[int]) -> None:
        """These are the trials that this process holds."""
        text = f"{' '.join(map(str, numbers))}\n".encode()
        with disk_errors(self._path):
            os.pwrite(self._descriptor, text, 0)
            os.ftruncate(self._descriptor, len(text))

    def close(self) -> None:
        """This process holds nothing any more."""
        self._path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def living(folder: Path) -> dict[str, list[int]]:
    """The trials that each living process holds; the files of others are removed."""
    found = {}
    for path in sorted(folder.glob(f"[0-9]*{SUFFIX}")):
        numbers = _read(path)
        if numbers is None:
            path.unlink(missing_ok=True)
        else:
            found[path.name.removesuffix(SUFFIX)] = numbers
    return found


def is_living(folder: Path, who: str) -> bool:
    """Whether a process still is there, and holds trials."""
    return _read(folder / f"{who}{SUFFIX}") is not None


def _read(path: Path) -> list[int] | None:
    """What stands in the file; None where its process has ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        first = os.pread(descriptor, 1 << 20, 0).partition(b"\n")[0]
        return [int(word) for word in first.split() if word.isdigit()]
    finally:
        os.close(descriptor)
