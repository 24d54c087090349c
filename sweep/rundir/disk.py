"""Durable changes to files: whole or not at all, and what the disk refuses as an error that says so."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.errors import RunDirError

_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a RunDirError that names the path and what to do."""
    try:
        yield
    except OSError as error:
        raise RunDirError(_explain(path, error)) from error


def _explain(path: Path, error: OSError) -> str:
    if isinstance(error.filename, str) and Path(error.filename).is_relative_to(path):
        path = Path(error.filename)
    if error.errno in _FULL:
        return (
            f"{path}: the disk is full ({_free_bytes(path)} bytes free): {error.strerror}; "
            "free some space, then run the same command to resume"
        )
    return f"{path}: cannot be written: {error.strerror or error}; nothing recorded so far is lost"


def _free_bytes(path: Path) -> int:
    existing = next((parent for parent in (path, *path.parents) if parent.exists()), Path("."))
    return shutil.disk_usage(existing).free


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is, at any moment and after any power cut, the old one or the new one."""
    temporary = path.with_name(path.name + ".partial")
    with disk_errors(path):
        with temporary.open("wb") as file:
            file.write(data)
        publish(temporary, path)


def set_aside(folder: Path, path: str, why: str) -> str:
    """Rename a damaged file to `.damaged` so that another can take its place; gives what to tell of it.

    One that was set aside before stays: then it is `.damaged-2`, and so on.
    """
    damaged = folder / path
    numbered = (f"-{number}" for number in itertools.count(2))
    names = (f"{damaged.name}.damaged{suffix}" for suffix in itertools.chain([""], numbered))
    with disk_errors(damaged), suppress(FileNotFoundError):
        damaged.rename(next(to for to in map(damaged.with_name, names) if not os.path.lexists(to)))
    return f"{path} is damaged and was set aside: {why}"


def publish(temporary: Path, path: Path) -> None:
    """Give a complete temporary file beside `path` its name, durably."""
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, on a volume that can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def flush(descriptor: int) -> None:
    """Have what was written reach the medium: on macOS fsync alone leaves it in the drive's cache."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        else:
            return
    os.fsync(descriptor)
