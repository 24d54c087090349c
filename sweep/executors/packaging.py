"""What travels with a study to the nodes of a cluster: its own folder, and the code that the driver runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configfile.quantities import format_size
from sweep.errors import SweepError

LEFT_OUT = (".git", ".venv", "venv", "__pycache__")
"""Folders that stay, wherever they lie."""

LIMIT_BYTES = 500_000_000
"""Ray's head holds the folder in its memory, and refuses half a gigabyte."""

PACKAGES = ("sweep", "train_core", "configfile", "runlog")
"""What workers run is what the driver runs, whatever is installed on a node."""


@dataclass(frozen=True)
class Luggage:
    """The study's folder, but for the folders in it where runs lie."""

    folder: Path
    runs: tuple[Path, ...]

    def runtime_env(self) -> dict[str, Any]:
        """Ray's words for it. Raises SweepError where it is too much."""
        self.check()
        return {
            "working_dir": str(self.folder),
            "py_modules": [str(code_folder() / package) for package in PACKAGES],
            "excludes": [*LEFT_OUT, *(f"/{path.as_posix()}" for path in self._staying())],
        }

    def _staying(self) -> list[Path]:
        """The folders of runs that lie in the study's folder, as seen from there."""
        folder = self.folder.resolve()
        found = [path.resolve() for path in self.runs]
        return sorted({path.relative_to(folder) for path in found if folder in path.parents})

    def files(self) -> Iterator[Path]:
        """All files that travel, as seen from the folder."""
        folder = self.folder.resolve()
        staying = {folder / path for path in self._staying()}
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(
                name for name in folders if name not in LEFT_OUT and Path(place, name) not in staying
            )
            paths = [Path(place, name) for name in sorted(names)]
            yield from (path.relative_to(folder) for path in paths if path.is_file())

    def check(self) -> None:
        """Raise SweepError where it is too much."""
        sizes: Counter[str] = Counter()
        for path in self.files():
            sizes[path.parts[0]] += (self.folder / path).stat().st_size
        total = sum(sizes.values())
        if total > LIMIT_BYTES:
            name, most = sizes.most_common(1)[0]
            raise SweepError(
                f"{self.folder}: the study's folder travels to every node and must hold at most "
                f"{format_size(LIMIT_BYTES)}, found {_size(total)}, most of it in {name} ({_size(most)}); "
                "give the study a folder of its own, and put large data on every node at one path"
            )


def code_folder() -> Path:
    """Where the packages lie that this process runs."""
    return Path(__file__).resolve().parents[2]


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
