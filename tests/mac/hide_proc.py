"""A plugin of pytest: /proc out of sight of pathlib, as on macOS, which has none."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any


def _hidden(path: object) -> bool:
    return str(path).startswith("/proc")


def _hide_from(name: str) -> None:
    plain = getattr(Path, name)

    def method(self: Path, *arguments: Any, **options: Any) -> Any:
        if _hidden(self):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return plain(self, *arguments, **options)

    setattr(Path, name, method)


for _name in ("open", "iterdir", "stat", "read_text", "read_bytes"):
    _hide_from(_name)  # `exists` asks `stat`
