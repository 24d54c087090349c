"""The source of a task that lies in no file of its own: it is kept in the run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.rundir.disk import disk_errors, replace_file


@dataclass(frozen=True)
class TaskSource:
    """Files by their path in the run directory; `target` is the task there, in the file `module`."""

    target: str
    module: str
    files: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """The hash that a run's provenance records of its task."""
        return hashlib.sha256(self.files[self.module]).hexdigest()

    def write(self, folder: Path) -> None:
        """Put the files there, each whole or not at all. Raises RunDirError."""
        for name, data in self.files.items():
            path = folder / name
            with disk_errors(path):
                path.parent.mkdir(exist_ok=True)
                if not path.is_file() or path.read_bytes() != data:
                    replace_file(path, data)
