"""What is sent with a study to the nodes of a cluster: its own folder, and the code that the driver runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configfile.quantities import format_size
from runlog import layout
from sweep.errors import SweepError
from sweep.vocabulary.own_packages import ROOT

LEFT_OUT = (".git", ".venv", "venv", "__pycache__")
"""Folders that are not sent, wherever they lie."""

RUN_FILES = (layout.JOURNAL, layout.TRIALS, layout.REPORT)
"""Files of a run directory that come later than the others."""

LIMIT_BYTES = 500_000_000
"""Ray's head holds the folder in its memory, and refuses half a gigabyte."""

WORKER_PACKAGES = ("sweep", "train_core", "lm", "configfile", "runlog", "ray_contract")
"""Workers run the driver's own code, whatever is installed on a node."""


@dataclass(frozen=True)
class StudyPackage:
    """The study's folder, but for the folders in it where runs lie."""

    folder: Path
    runs: tuple[Path, ...]

    def runtime_env(self) -> dict[str, Any]:
        """The same as Ray takes it. Raises SweepError where the folder is too large."""
        self.check()
        return {
            "working_dir": str(self.folder),
            "py_modules": [str(ROOT / package) for package in WORKER_PACKAGES],
            "excludes": [*LEFT_OUT, *(f"/{path.as_posix()}" for path in self._left_here())],
        }

    def _left_here(self) -> list[Path]:
        """What is not sent, relative to the study's folder: the folders of runs in it.

        Where that is a run directory, its task was written in a notebook, and is all that is sent.
        """
        folder = self.folder.resolve()
        if (folder / layout.LOG).is_file():
            there = {each.name for each in folder.iterdir()}
            return sorted(Path(name) for name in (there | {*RUN_FILES}) - {layout.TASK})
        found = [path.resolve() for path in self.runs]
        return sorted({path.relative_to(folder) for path in found if folder in path.parents})

    def files(self) -> Iterator[Path]:
        """All files that are sent, relative to the folder."""
        folder = self.folder.resolve()
        left_here = {folder / path for path in self._left_here()}
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(
                name for name in folders if name not in LEFT_OUT and Path(place, name) not in left_here
            )
            paths = [Path(place, name) for name in sorted(names) if Path(place, name) not in left_here]
            yield from (path.relative_to(folder) for path in paths if path.is_file())

    def check(self) -> None:
        """Raise SweepError where the folder is too large."""
        sizes: Counter[str] = Counter()
        for path in self.files():
            sizes[path.parts[0]] += (self.folder / path).stat().st_size
        total = sum(sizes.values())
        if total > LIMIT_BYTES:
            name, most = sizes.most_common(1)[0]
            raise SweepError(
                f"{self.folder}: the study's folder is too large to send to every node: {_size(total)}, most "
                f"of it in {name} ({_size(most)}); the limit is {format_size(LIMIT_BYTES)}. Give the study a "
                "folder of its own, and put large data on every node at one path"
            )


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
