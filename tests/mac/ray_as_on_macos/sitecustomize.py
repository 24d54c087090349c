"""Ray as on macOS: the kernel ends no child with its parent, so Ray starts a process that does.

For it `ray.init` makes its caller a process group of its own, which is not the group that a terminal's Ctrl-C
reaches. Python imports this module at its start where the folder is on PYTHONPATH.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class WithoutFateSharing(MetaPathFinder):
    """Finds Ray's utilities, and changes one answer of theirs once they are imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "ray._private.utils":
            return None
        found = PathFinder.find_spec(name, path, target)
        assert found is not None
        assert found.loader is not None
        plain = found.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            plain(module)
            module.detect_fate_sharing_support = lambda: None  # type: ignore[attr-defined]

        found.loader.exec_module = exec_module  # type: ignore[method-assign]
        return found


sys.meta_path.insert(0, WithoutFateSharing())
