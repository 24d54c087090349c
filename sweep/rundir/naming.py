"""Which folders may hold a run: by their name, and by what already lies in them."""

from __future__ import annotations

from pathlib import Path

from runlog import layout
from sweep.errors import RunDirError

_NAME_BYTES = 120
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


def check_contents(path: Path) -> None:
    """Raise RunDirError where a folder holds what no run directory does, or lacks what one must."""
    names = {entry.name for entry in path.iterdir()} - {".DS_Store"}
    if layout.LOG in names:
        return
    if layout.JOURNAL in names or layout.TRIALS in names:
        raise RunDirError(
            f"{path}: must hold {layout.LOG} since trials were recorded; it is missing; "
            "put it back, or move the directory away"
        )
    if foreign := sorted(names - _OURS - {f"{name}.partial" for name in _OURS}):
        raise RunDirError(f"{path}: is not a run directory, it holds {foreign[0]}; choose another name")
