"""A folder as one checkpoint file: a safetensors file with the bytes of each file as an array of uint8.

Files are copied piece by piece: what a function keeps may be larger than its worker's memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.errors import CheckpointError

KIND = "sweep folder"
PIECE_BYTES = 1 << 20


def files(folder: Path) -> list[Path]:
    """All files below a folder, as seen from there, in order; it may be written to meanwhile."""
    found = []
    for place, _, names in os.walk(folder):  # passes over folders that are removed just now
        found += [Path(place, name) for name in names]
    return sorted(path.relative_to(folder) for path in found if path.is_file())


def newest_s(folder: Path) -> float:
    """When a file below a folder was last written, in seconds since 1970; 0 where there is none."""
    newest = 0.0
    for name in files(folder):
        with suppress(FileNotFoundError):  # it was renamed just now
            newest = max(newest, (folder / name).stat().st_mtime)
    return newest


def pack(folder: Path, path: Path, facts: Mapping[str, str]) -> str:
    """Write all files of a folder into one; its SHA-256. `facts` come back from `unpack`."""
    header, offset = {"__metadata__": {"kind": KIND, **facts}}, 0
    names = files(folder)
    entries: dict[str, Any] = {}
    for name in names:
        size = (folder / name).stat().st_size
        entries[name.as_posix()] = {"dtype": "U8", "shape": [size], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps({**header, **entries}).encode()
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for piece in _pieces(folder, entries, struct.pack("<Q", len(text)) + text):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


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
            facts: dict[str, str] = header.pop("__metadata__", {})
            if facts.get("kind") != KIND:
                raise CheckpointError(f"{path}: is not the checkpoint of a function")
            for name, entry in header.items():
                _unpack_file(file, folder, name, int(entry["shape"][0]))
    except (struct.error, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: is damaged: {error}") from error
    return facts


def _unpack_file(file: Any, folder: Path, name: str, size: int) -> None:
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"{name}: lies outside of the trial's folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while size:
            piece = file.read(min(size, PIECE_BYTES))
            if not piece:
                raise ValueError(f"it ends within {name}")
            size -= len(piece)
            out.write(piece)
