"""What travels with a study to the nodes of a cluster: its own folder, and the code that the driver runs."""

from __future__ import annotations

import os
from collections import Counter
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
        self._check()
        code = Path(__file__).resolve().parents[2]
        return {
            "working_dir": str(self.folder),
            "py_modules": [str(code / package) for package in PACKAGES],
            "excludes": [*LEFT_OUT, *(f"/{path.as_posix()}" for path in self._staying())],
        }

    def _staying(self) -> list[Path]:
        """The folders of runs that lie in the study's folder, as seen from there."""
        folder = self.folder.resolve()
        found = [path.resolve() for path in self.runs]
        return sorted({path.relative_to(folder) for path in found if folder in path.parents})

    def _check(self) -> None:
        staying = {self.folder.resolve() / path for path in self._staying()}
        sizes: Counter[str] = Counter()
        for place, folders, files in os.walk(self.folder.resolve()):
            folders[:] = [
                name for name in folders if name not in LEFT_OUT and Path(place, name) not in staying
            ]
            relative = Path(place).relative_to(self.folder.resolve())
            for name in files:
                path = Path(place, name)
                if path.is_file():
                    sizes[str(relative.parts[0] if relative.parts else name)] += path.stat().st_size
        total = sum(sizes.values())
        if total > LIMIT_BYTES:
            name, most = sizes.most_common(1)[0]
            raise SweepError(
                f"{self.folder}: the study's folder travels to every node and must hold at most "
                f"{format_size(LIMIT_BYTES)}, found {_size(total)}, most of it in {name} ({_size(most)}); "
                "give the study a folder of its own, and put large data on every node at one path"
            )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
