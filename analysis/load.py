"""Open run directories, while their studies run or afterwards; reading only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from analysis.errors import RunError, warn
from analysis.run import Run, warn_of_damage
from analysis.runs import Runs
from runlog import layout
from runlog.integrity import wholeness
from runlog.reader import UnreadableLogError, read_batches, whole_bytes
from runlog.segments import parts_of


@overload
def load(run_dir: str | Path) -> Run: ...  # type: ignore[overload-overlap]  # text is a sequence too
@overload
def load(run_dir: Sequence[str | Path]) -> Runs: ...
def load(run_dir: str | Path | Sequence[str | Path]) -> Run | Runs:
    """Open a run directory, or several as one; tables are read when they are asked for.

    Raises RunError where there is none, or nothing in it can be read. A directory that a newer version
    wrote, or that lost its log, gives what its Parquet files hold, with a RunWarning.
    """
    if isinstance(run_dir, str | Path):
        return _one(Path(run_dir))
    return Runs([_one(Path(each)) for each in run_dir])


def _one(path: Path) -> Run:
    log = path / layout.LOG
    if not path.is_dir():
        raise RunError(f"{path}: is no directory; give the path of a run, such as runs/digits")
    if _is_lost(log):
        if not _has_tables(path):
            raise RunError(f"{path}: is not a run directory, it has no {layout.LOG}; give the path of a run")
        warn(f"{path}: has lost its {layout.LOG}; shown is what its Parquet files hold")
        return Run(path, has_log=False)
    try:
        next(read_batches(log, kinds=("opened",), on_damage=warn_of_damage), None)
    except UnreadableLogError as error:
        if not _has_tables(path):
            raise RunError(str(error)) from error
        warn(f"{error}; shown is what its Parquet files hold")
        return Run(path, has_log=False)
    except OSError as error:
        raise RunError(f"{log}: cannot be read: {error.strerror or error}") from error
    for text in wholeness.problems(path):
        warn(f"{path}: {text}")
    return Run(path)


def _is_lost(log: Path) -> bool:
    """Whether there is no log, or nothing in it though there are tables."""
    try:
        return not log.is_file() or (not whole_bytes(log) and _has_tables(log.parent))
    except OSError as error:
        raise RunError(f"{log}: cannot be read: {error.strerror}. Make it readable") from error


def _has_tables(path: Path) -> bool:
    return (path / layout.TRIALS).is_file() or bool(parts_of(path))
