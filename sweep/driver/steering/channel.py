"""Requests as files of the run directory: any process writes them, the one that holds the run answers them.

Each is a file of its own, whole or not there, so that writers do not meet. Its name, which is the request's
id, sorts by the time at which it was asked. It stays until the log has its answer.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE
from typing import Any

from runlog import layout
from runlog.integrity import checksum
from sweep.errors import RunDirError, SweepError
from sweep.rundir.disk import publish, set_aside

SUFFIX = ".json"
MOST_BYTES = 1 << 20
"""More than a request has."""


@dataclass(frozen=True)
class Request:
    """What is asked: a verb and its arguments; `by` is the user, `time` in seconds since 1970."""

    id: str
    verb: str
    arguments: Mapping[str, Any]
    by: str = ""
    time: float = 0.0


def submit(run_dir: Path, verb: str, arguments: Mapping[str, Any]) -> Request:
    """Ask: once this returns, the request outlives this process.

    Raises RunDirError where it cannot be written, SweepError where it could not be read.
    """
    id = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}"
    request = Request(id, verb, dict(arguments), _user(), time.time())
    folder = run_dir / layout.REQUESTS
    path = folder / f"{id}{SUFFIX}"
    temporary = folder / f".{id}"
    line = _checked(run_dir, request)
    try:
        is_new = not folder.is_dir()
        folder.mkdir(exist_ok=True)
        temporary.write_bytes(line)
        _give(temporary, run_dir / layout.LOG)
        if is_new:
            _give(folder, run_dir)
        publish(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunDirError(_refused(run_dir, error)) from error
    return request


def _give(path: Path, other: Path) -> None:
    """Let the same people read and write it as another path; the umask of the user who made it says less."""
    with suppress(OSError):
        found = other.stat()
        for owner in (found.st_uid, -1):  # only root may give a file to another one
            with suppress(PermissionError):
                os.chown(path, owner, found.st_gid)
        path.chmod(S_IMODE(found.st_mode))


def _checked(run_dir: Path, request: Request) -> bytes:
    """A request as its file holds it; one that no reader would take is refused."""
    try:
        json.dumps(request.arguments, ensure_ascii=False).encode("utf-8")
        line = encoded(request)
    except UnicodeEncodeError as error:
        raise SweepError(f"{run_dir}: nothing was asked, it has bytes that are no text in UTF-8") from error
    except TypeError as error:
        raise SweepError(f"{run_dir}: nothing was asked, it cannot be written as JSON: {error}") from error
    if len(line) > MOST_BYTES:
        raise SweepError(f"{run_dir}: nothing was asked, it has more than {MOST_BYTES:,} bytes. Shorten it")
    return line


def encoded(request: Request) -> bytes:
    """A request as its file holds it: a line with a checksum, as one of the log."""
    fields = {name: value for name, value in vars(request).items() if name != "id"}
    return checksum.seal(json.dumps(fields, separators=(",", ":")).encode() + b"\n", checksum.START)[0]


def pending(run_dir: Path, on_damage: Callable[[str], None]) -> list[Request]:
    """What was asked and is not answered, in order; a damaged file is set aside, and told of."""
    try:
        names = sorted(name for name in os.listdir(run_dir / layout.REQUESTS) if name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        on_damage(f"{layout.REQUESTS} cannot be read: {error.strerror or error}. Make it readable")
        return []
    found = []
    for name in names:
        try:
            found.append(_read(run_dir / layout.REQUESTS / name))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not as it was written"
            with suppress(RunDirError):
                on_damage(set_aside(run_dir, f"{layout.REQUESTS}/{name}", f"{why}. Ask again"))
    return found


def count(run_dir: Path) -> int:
    """How many requests are not answered."""
    try:
        return sum(name.endswith(SUFFIX) for name in os.listdir(run_dir / layout.REQUESTS))
    except OSError:
        return 0


def remove(run_dir: Path, id: str) -> None:
    """The log has its answer. One that may not be removed stays: it is known as answered."""
    with suppress(OSError):
        (run_dir / layout.REQUESTS / f"{id}{SUFFIX}").unlink(missing_ok=True)


def _read(path: Path) -> Request:
    with path.open("rb") as file:
        line = file.read(MOST_BYTES).removesuffix(b"\n")
    if checksum.claimed(line) is None or not checksum.holds(line):
        raise ValueError(path.name)
    fields = json.loads(line)
    return Request(
        path.name.removesuffix(SUFFIX),
        str(fields["verb"]),
        dict(fields["arguments"]),
        str(fields.get("by", "")),
        float(fields.get("time", 0.0)),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user that the system has no name for
        return str(os.getuid())


def _refused(run_dir: Path, error: OSError) -> str:
    if not isinstance(error, PermissionError):
        return f"{run_dir}: nothing was asked, a request cannot be written: {error.strerror or error}"
    try:
        owner = run_dir.owner()
    except (OSError, KeyError):
        owner = "its owner"
    return (
        f"{run_dir}: nothing was asked, {_user()} may not write there. Ask {owner} to, or run it as {owner}"
    )
