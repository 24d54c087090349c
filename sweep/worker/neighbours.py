"""The user's modules beside the task that have the name of a package of ours: the task imports the user's.

In this process such a name means our package to our code and the user's module to theirs. Which code imports
is told by its file.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ray_contract import PACKAGES
from sweep.vocabulary.own_packages import ROOT, Finder

OURS = ("sweep", "train_core")
"""Names that mean our packages to a task as well: it is written with them."""

_served: dict[Path, Neighbours] = {}


def serve(folder: str) -> None:
    """Have code in a task's folder import its neighbours; does nothing where none has a name of ours."""
    place = Path(folder).resolve()
    names = frozenset(name for name in PACKAGES if name not in OURS and _is_there(place, name))
    if names and place != ROOT and place not in _served:
        _served[place] = Neighbours(place, names)


def _is_there(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


class Neighbours:
    """Stands before Python's own import for as long as this process lives."""

    def __init__(self, folder: Path, names: frozenset[str]) -> None:
        self._folder = folder
        self._names = names
        self._modules: dict[str, ModuleType] = {}
        self._swapping = threading.RLock()
        self._import = builtins.__import__
        builtins.__import__ = self

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and name.partition(".")[0] in self._names and self._is_users(globals):
            with self._users_modules():
                return self._import(name, globals, locals, fromlist, level)
        return self._import(name, globals, locals, fromlist, level)

    def _is_users(self, globals: Mapping[str, Any] | None) -> bool:
        file = (globals or {}).get("__file__")
        if file is None:
            return False
        parents = Path(file).resolve().parents
        is_ours = any(ROOT / package in parents for package in PACKAGES)
        return self._folder in parents and not is_ours and "site-packages" not in Path(file).parts

    @contextmanager
    def _users_modules(self) -> Iterator[None]:
        """The user's modules in the place of ours."""
        with self._swapping:
            ours, finder = self._taken_out(), Finder(self._folder, self._names)
            sys.modules.update(self._modules)
            sys.meta_path.insert(0, finder)
            try:
                yield
            finally:
                sys.meta_path.remove(finder)
                self._modules = self._taken_out()
                sys.modules.update(ours)

    def _taken_out(self) -> dict[str, ModuleType]:
        found = [name for name in sys.modules if name.partition(".")[0] in self._names]
        return {name: sys.modules.pop(name) for name in found}
