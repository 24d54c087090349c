"""This project's own packages are found where this one lies, whatever else on the path has their names.

People call files analysis.py or sweep.py, and Python looks for modules in the folder of the command first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
"""The folder in which the packages lie side by side."""


class Finder(MetaPathFinder):
    """Finds the packages and modules of `names` in a folder, and nothing else."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self.names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(self.folder)], target) if name in self.names else None


class OwnPackages(Finder):
    """Finds ours: in ROOT, or where Ray has put each by itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.names:
            return None
        ours = [entry for entry in (str(self.folder), *sys.path) if Path(entry, name, "py.typed").is_file()]
        return PathFinder.find_spec(name, ours, target)


def install() -> None:
    """Have them found so for as long as this process lives; called where `sweep` is imported."""
    finder = OwnPackages(ROOT, ["ray_contract"])
    sys.meta_path.insert(0, finder)
    from ray_contract import PACKAGES

    finder.names = frozenset(PACKAGES)


install()
