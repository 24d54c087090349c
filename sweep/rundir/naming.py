"""Which folders may hold a run: by their name, and by what already lies in them."""

from __future__ import annotations

import os
from pathlib import Path

from runlog import layout
from runlog.reader import whole_bytes
from sweep.errors import RunDirError

_NAME_BYTES = 120
FOLDERS = (layout.METRICS, layout.CHECKPOINTS)
_OURS = frozenset(
    (
        layout.REPORT,
        layout.STUDY,
        layout.PROVENANCE,
        layout.LOG,
        layout.JOURNAL,
        layout.METRICS,
        layout.TRIALS,
        layout.CHECKPOINTS,
        layout.LOCK,
        layout.ASKING,
        layout.TASK,
        layout.OUTPUT,
    )
)


def runs_folder(given: object, argument: str = "runs") -> Path:
    """The folder of runs that a Python caller means. Raises RunDirError for what is no path."""
    try:
        return Path(given)  # type: ignore[arg-type]
    except TypeError:
        raise RunDirError(
            f"{argument}: must be the path of a folder; found {given!r}. Leave it out for the folder `runs`"
        ) from None


def checked_name(name: str) -> str:
    """Give a study's name back if it can name a directory. Raises RunDirError where it cannot."""
    fine = name.isprintable() and not set(name) & set('/\\:*?"<>|') and name == name.strip()
    if not fine or not name or name.startswith(".") or len(name.encode()) > _NAME_BYTES:
        raise RunDirError(
            f"name: must be one plain folder name of at most {_NAME_BYTES} bytes, without separators "
            f'(/ \\ : * ? " < > |) or a leading dot; found {name!r}; choose another one'
        )
    return name


def check_case(root: Path, name: str) -> None:
    """Raise RunDirError where another study's name differs only by case: on a Mac it is the same folder."""
    if not root.is_dir():
        return
    for entry in root.iterdir():
        if entry.name != name and entry.name.casefold() == name.casefold():
            raise RunDirError(
                f"{entry}: names that differ only by case are one study, and this one is called "
                f"{entry.name}, not {name}. Write name: {entry.name} to resume it, or choose another name"
            )


def check_log(run_dir: Path) -> None:
    """Raise RunDirError where a folder has no log that can be read, and so is no run directory."""
    try:
        if (run_dir / layout.LOG).is_file():
            return
        is_folder, is_there = run_dir.is_dir(), run_dir.exists()
    except OSError as error:
        raise RunDirError(f"{run_dir}: cannot be read: {error.strerror}. Make it readable") from error
    obstacle = obstacle_of(run_dir / layout.LOG) if is_folder else None
    if obstacle is not None:
        raise RunDirError(f"{run_dir / layout.LOG}: {obstacle}")
    no_folder = "it is a file" if is_there else "there is no such folder"
    what = f"it has no {layout.LOG}" if is_folder else no_folder
    raise RunDirError(f"{run_dir}: is not a run directory: {what}. Give the path of a run")


def obstacle_of(path: Path) -> str | None:
    """What is wrong where something else has the name of a run's log, or of one of its folders."""
    is_folder = path.name in FOLDERS
    if path.is_dir() if is_folder else path.is_file():
        may_read = os.access(path, os.R_OK | os.X_OK if is_folder else os.R_OK)
        return None if may_read else "may not be read. Make it readable"
    if not os.path.lexists(path):
        return None
    if path.is_symlink() and not path.exists():
        return f"is a link to {os.readlink(path)}, which is not there. Attach its volume, or put it back"
    if is_folder:
        return "is no folder. Move it away: the next session makes one"
    return f"is no file, so there is no log. Put {path.name} back, or move the directory away"


def copies(run_dir: Path) -> list[Path]:
    """Copies of a run's files that sync tools make where two computers wrote one: they are not read.

    Such as `log (conflicted copy 2026-11-29).jsonl`, `log 2.jsonl` and `log.sync-conflict-1.jsonl`.
    """
    folders = (run_dir / layout.METRICS, *(run_dir / layout.CHECKPOINTS).glob("trial-*/replicate-*"))
    found = [
        each
        for name in (layout.STUDY, layout.PROVENANCE, layout.LOG, layout.JOURNAL, layout.TRIALS)
        for each in run_dir.glob(f"{Path(name).stem}*{Path(name).suffix}")
        if each.name != name
    ]
    found += [
        each
        for folder in folders
        for pattern in ("part-*.parquet", "examples-*.safetensors")
        for each in folder.glob(pattern)
        if set(each.stem) & set(" (.")
    ]
    return sorted(found)


def check_contents(path: Path) -> None:
    """Raise RunDirError where a folder holds what no run directory does, or lacks what one must."""
    names = {entry.name for entry in path.iterdir()} - {".DS_Store"}
    if layout.LOG in names:
        for name in (layout.LOG, *FOLDERS):
            if (obstacle := obstacle_of(path / name)) is not None:
                raise RunDirError(f"{path / name}: {obstacle}")
        if whole_bytes(path / layout.LOG):
            return
    if layout.JOURNAL in names or layout.TRIALS in names:
        state = "empty" if layout.LOG in names else "missing"
        raise RunDirError(
            f"{path}: must hold {layout.LOG} since trials were recorded; it is {state}; "
            "put it back, or move the directory away"
        )
    if layout.LOG in names:  # a kill before the first record
        return
    if foreign := sorted(names - _OURS - {f"{name}.partial" for name in _OURS}):
        raise RunDirError(f"{path}: is not a run directory, it holds {foreign[0]}; choose another name")
