"""What a task reads beside its source, fingerprinted so that a change is noticed. Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

END_BYTES = 32_000_000
"""Of a larger file than two of these only the beginning and the end are looked at, and the size."""


class Read(NamedTuple):
    """A file or a folder that a task reads; the text of a `kept` one is recorded, and read from there."""

    path: Path
    kept: bool = False


def fingerprint(path: Path) -> str | None:
    """SHA-256 over the names, sizes and contents of a file or of the files in a folder; None without any.

    Raises OSError where one cannot be read.
    """
    whole = hashlib.sha256()
    found = False
    for name, file in _files(path):
        found = True
        size = file.stat().st_size
        whole.update(f"{name}\0{size}\0".encode())
        with file.open("rb") as stream:
            if size <= 2 * END_BYTES:
                whole.update(stream.read())
            else:
                whole.update(stream.read(END_BYTES))
                stream.seek(size - END_BYTES)
                whole.update(stream.read())
    return whole.hexdigest() if found else None


def recorded(found: Iterable[tuple[str, Read]]) -> dict[str, dict[str, Any]]:
    """What is recorded of each, by name: `sha256`, and `text` where that is kept; not of what is missing."""
    made: dict[str, dict[str, Any]] = {}
    for name, (path, kept) in found:
        if (sha256 := fingerprint(path)) is not None:
            made[name] = {"sha256": sha256, **({"text": _text(path)} if kept else {})}
    return made


def texts(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The texts in what `recorded` gave, by name."""
    return {name: each["text"] for name, each in found.items() if "text" in each}


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield "", path
    elif path.is_dir():
        # Finder leaves .DS_Store and Icon\r in a folder that a person looks at, and other volumes get ._NAME.
        seen = (each for each in path.iterdir() if not each.name.startswith(".") and each.name != "Icon\r")
        yield from sorted((each.name, each) for each in seen if each.is_file())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
