"""What lies in a trial's folder: files, links, and folders that hold nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Contents:
    """All paths are as seen from the folder, in order; it may be written to meanwhile.

    `files` are also links to files elsewhere: what they lead to is kept in their place. `links` lead to
    another place in the folder, there or not, and have their targets relative. `folders` hold nothing that
    is kept. `left_out` are links to anything else.
    """

    files: list[Path] = field(default_factory=list)
    links: dict[Path, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def contents(folder: Path) -> Contents:
    """What lies in a folder."""
    found = Contents()
    for place, folders, names in os.walk(folder):  # passes over folders that are removed just now
        here = Path(place)
        linked = [name for name in folders if (here / name).is_symlink()]
        kept = [_enter(found, folder, here / name) for name in sorted([*names, *linked])]
        if not any(kept) and len(linked) == len(folders) and here != folder:
            found.folders.append(here.relative_to(folder))
    found.files.sort()
    found.folders.sort()
    found.left_out.sort()
    found.links = dict(sorted(found.links.items()))
    return found


def newest_s(folder: Path) -> float:
    """When a file below a folder was last written, in seconds since 1970; 0 where there is none."""
    newest = 0.0
    for name in contents(folder).files:
        with suppress(FileNotFoundError):  # it was renamed just now
            newest = max(newest, (folder / name).stat().st_mtime)
    return newest


def leads_inside(link: Path, target: str) -> bool:
    """Whether a relative target of a link, both as seen from the folder, lies in it."""
    if os.path.isabs(target):
        return False
    return os.path.normpath(link.parent / target).split(os.sep)[0] != os.pardir


def _enter(found: Contents, folder: Path, path: Path) -> bool:
    """Enter what is no folder; whether it is kept."""
    name = path.relative_to(folder)
    try:
        target = _target_inside(folder, path) if path.is_symlink() else None
    except FileNotFoundError:  # it was removed just now
        return False
    if target is not None:
        found.links[name] = target
    elif path.is_file():
        found.files.append(name)
    else:
        if path.is_symlink():
            found.left_out.append(name)
        return False
    return True


def _target_inside(folder: Path, link: Path) -> str | None:
    """A link's target, relative, where that lies in the folder: its next place has another name."""
    target = os.path.join(link.parent, os.readlink(link))
    for root in (folder, folder.resolve()):
        inside = os.path.relpath(target, root)
        if inside.split(os.sep)[0] != os.pardir:
            return os.path.relpath(inside, link.parent.relative_to(folder))
    return None
