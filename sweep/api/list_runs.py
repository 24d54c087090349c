"""`sweep list`: the run directories of a folder, each in a line, unreadable ones too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from runlog import layout
from sweep.api.status import Status, read_status
from sweep.errors import RunDirError
from sweep.rundir.naming import runs_folder

NONSENSE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What values of another kind end in that someone wrote into a log of format 1: it has no checksums."""


@dataclass(frozen=True)
class Listed:
    """One run directory; `status` is None where it cannot be read, and `problem` says why."""

    path: Path
    status: Status | None
    problem: str | None = None


def list_runs(folder: str | Path = "runs", *, tag: str | None = None) -> list[Listed]:
    """Every run directory in `folder`, by name, or those with a tag. Raises RunDirError without a folder."""
    folder = runs_folder(folder, "folder")
    if not folder.is_dir():
        raise RunDirError(f"{folder}: there is no such folder of runs. Give one, such as runs")
    found = [_listed(path) for path in sorted(folder.iterdir()) if is_run(path)]
    return [each for each in found if tag is None or (each.status is not None and tag in each.status.tags)]


def is_run(path: Path, *, empty: bool = True) -> bool:
    """Whether it has a log, or what a run leaves that has lost it or was killed at once: an `empty` folder.

    A log that is a link to a volume that is away counts, and so does a folder that may not be read.
    """
    if not path.is_dir():
        return False
    try:
        names = set(os.listdir(path))
    except PermissionError:
        return True
    return (empty and not names) or not names.isdisjoint((layout.LOG, layout.JOURNAL, layout.TRIALS))


def _listed(path: Path) -> Listed:
    try:
        return Listed(path, read_status(path))
    except RunDirError as error:
        return Listed(path, None, str(error))
    except OSError as error:  # it was taken away, or closed to us, while it was read
        return Listed(path, None, f"{path}: cannot be read: {error.strerror or error}")
    except NONSENSE as error:
        what = f"a record of its log makes no sense ({type(error).__name__})"
        return Listed(path, None, f"{path}: {what}. Look: python -m sweep verify {path}")
