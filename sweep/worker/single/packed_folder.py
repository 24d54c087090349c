"""A folder as one checkpoint file: a safetensors file with the bytes of each file as an array of uint8.

What no array can say is in its metadata: modes of files, when files and folders were written, links, and
folders that hold nothing. A file that has the metadata's own name is written with "./" before it.

Files are copied piece by piece: what a function keeps may be larger than its worker's memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import CheckpointError
from sweep.worker.single.folder_contents import Contents, leads_inside

KIND = "sweep folder"
METADATA = "__metadata__"
BESIDE = "beside"
"""The fact that holds modes, times, links and folders, as JSON; older files have none."""

MODE = 0o777
PIECE_BYTES = 1 << 20


def pack(folder: Path, found: Contents, path: Path, facts: Mapping[str, str]) -> str:
    """Write what was found in a folder into a file; its SHA-256. `facts` come back from `unpack`."""
    offset, entries, modes, times = 0, dict[str, Any](), dict[str, int](), dict[str, int]()
    for name in found.files:
        state = (folder / name).stat()
        size, label = state.st_size, _entry_name(name)
        entries[label] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
        modes[label], times[label] = state.st_mode & MODE, state.st_mtime_ns
        offset += size
    for name in _folders(found):
        times[name.as_posix()] = (folder / name).stat().st_mtime_ns
    links = {name.as_posix(): target for name, target in found.links.items()}
    folders = [name.as_posix() for name in found.folders]
    beside = {"modes": modes, "times": times, "links": links, "folders": folders}
    header = {METADATA: {"kind": KIND, BESIDE: json.dumps(beside), **facts}}
    text = json.dumps({**header, **entries}).encode()
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for piece in _pieces(folder, entries, struct.pack("<Q", len(text)) + text):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def _folders(found: Contents) -> set[Path]:
    """All folders in it: those with files or links, and those with nothing."""
    kept = (*found.files, *found.links)
    return {parent for name in kept for parent in name.parents if parent.name} | set(found.folders)


def _entry_name(name: Path) -> str:
    return f"./{name}" if str(name) == METADATA else name.as_posix()


def _pieces(folder: Path, entries: Mapping[str, Any], head: bytes) -> Iterator[bytes]:
    yield head
    for name, entry in entries.items():
        left = entry["shape"][0]
        with (folder / name).open("rb") as file:
            while left:
                piece = file.read(min(left, PIECE_BYTES))
                if not piece:
                    raise OSError(f"{folder / name} became shorter while it was saved")
                left -= len(piece)
                yield piece


def unpack(path: Path, folder: Path) -> dict[str, str]:
    """Write a packed folder's files into `folder`; the facts. Raises CheckpointError where it is none."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(size))
            facts: dict[str, str] = header.pop(METADATA, {})
            if facts.get("kind") != KIND:
                raise CheckpointError(f"{path}: is not the checkpoint of a function")
            for name, entry in header.items():
                _unpack_file(file, folder, name, int(entry["shape"][0]))
        _unpack_beside(folder, json.loads(facts.pop(BESIDE, "{}")))
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{path}: is damaged: {error}") from error
    return facts


def _unpack_file(file: Any, folder: Path, name: str, size: int) -> None:
    target = _place(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while size:
            piece = file.read(min(size, PIECE_BYTES))
            if not piece:
                raise ValueError(f"it ends within {name}")
            size -= len(piece)
            out.write(piece)


def _unpack_beside(folder: Path, beside: Mapping[str, Any]) -> None:
    """Modes, folders, and links, so late that nothing is written through them; then times."""
    for name, mode in beside.get("modes", {}).items():
        _place(folder, name).chmod(mode & MODE)
    for name in beside.get("folders", ()):
        _place(folder, name).mkdir(parents=True, exist_ok=True)
    for name, target in beside.get("links", {}).items():
        link = _place(folder, name)
        if not leads_inside(Path(name), target):
            raise CheckpointError(f"{name}: leads out of the trial's folder")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
    _set_times(folder, beside.get("times", {}))


def _set_times(folder: Path, times: Mapping[str, int]) -> None:
    """A program may resume from the newest of its files; none is of the future, by this machine's clock."""
    ahead = max(0, max(times.values(), default=0) - time.time_ns())
    for name, written in times.items():
        os.utime(_place(folder, name), ns=(written - ahead, written - ahead))


def _place(folder: Path, name: str) -> Path:
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"{name}: lies outside of the trial's folder")
    return target
