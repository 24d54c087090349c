"""One writer a run directory: an exclusive flock, held by the process whose id stands in the file."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from weakref import WeakSet

from sweep.errors import RunDirError, RunInUseError
from sweep.rundir.disk import disk_errors

_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)
_TRIES = 10
_PAUSE_S = 0.05


class OwnProcess:
    """What ends with its process, and not with a copy that `fork` makes: each copy lets go of it at once.

    A copy's descriptor would keep a lock held, or a connection open, after the process has ended.
    """

    def __init__(self) -> None:
        _OWN.add(self)

    def let_go(self) -> None:
        """Close the descriptors, and change nothing else; may be called twice."""
        raise NotImplementedError


_OWN: WeakSet[OwnProcess] = WeakSet()


def _let_go() -> None:
    for each in list(_OWN):
        each.let_go()
    _OWN.clear()


os.register_at_fork(after_in_child=_let_go)


class WriterLock(OwnProcess):
    """The lock while it is held; it ends with `release` or with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once. Raises RunDirError with the holder's pid where another process has it."""
        super().__init__()
        self._descriptor = -1
        with disk_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        for _ in range(_TRIES):  # a reader asking whether the run is live holds it for an instant
            if self._take(path):
                break
            time.sleep(_PAUSE_S)
        else:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise RunInUseError(_in_use(path, holder))
        try:
            with disk_errors(path):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except RunDirError:
            self.release()
            raise

    def _take(self, path: Path) -> bool:
        try:
            return _try_flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            self.release()
            raise RunDirError(
                f"{path.parent}: this volume has no file locks ({error.strerror}), as network shares often "
                "have none; two processes could write one run. Put runs on a local disk: pass --runs DIR"
            ) from error

    def release(self) -> None:
        """Let the next writer in."""
        self.let_go()

    def let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def holder(path: Path) -> int | None:
    """Process id of the live writer; None where there is none. Takes nothing from anybody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_flock(descriptor, fcntl.LOCK_SH):
            return None
        text = os.pread(descriptor, 32, 0)
        return int(text) if text.strip().isdigit() else 0
    finally:
        os.close(descriptor)


def is_elsewhere(path: Path, pid: int) -> bool:
    """Whether a process of another machine, or container, holds the lock: one of this number has it not open.

    Several machines may share a volume, with its locks; their processes have the same numbers.
    """
    return pid > 0 and not _has_open(path, pid) and holder(path) == pid


def _has_open(path: Path, pid: int) -> bool:
    import psutil

    try:
        opened = [Path(each.path) for each in psutil.Process(pid).open_files()]
        return any(each.name == path.name and each.samefile(path) for each in opened)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):  # another user's, which cannot be looked at
        return True


def _in_use(path: Path, said: str) -> str:
    run_dir, pid = path.parent, int(said) if said.isdigit() else 0
    if is_elsewhere(path, pid):
        return (
            f"{run_dir}: in use by the process {pid} of another machine or container; "
            "wait for it, end it there, or choose another name or --runs directory"
        )
    if pid == os.getpid():
        return (
            f"{run_dir}: is open in this process already. "
            "End that first: close() of its study, or stop() of its handle"
        )
    return (
        f"{run_dir}: in use by the process {said or 'of unknown id'}; "
        "wait for it, end it (kill -INT stops it cleanly), or choose another name or --runs directory"
    )


def _try_flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS and kind == fcntl.LOCK_SH:
            return True  # nothing can be written where there are no locks: see WriterLock
        raise
    return True
