"""What commands print, kept in the run directory: a file a run, and the one before it, of bounded size.

It is not part of the log: what a power cut takes of it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runlog.layout import OutputName
from sweep.rundir.disk import disk_errors
from sweep.vocabulary.trial import RunId

MAX_BYTES = 1_000_000
"""A file that has grown so large becomes the earlier one, and that is dropped."""


class Printed:
    """Appends to the files of a run directory; nothing is made before something is printed."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def enter(self, output: Mapping[RunId, bytes]) -> None:
        """Append what runs have printed. Raises RunDirError where the disk refuses."""
        for run, data in output.items():
            name = OutputName(run.trial, run.replicate)
            path = self._run_dir / name.path
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    file.write(data)
                    size = file.tell()
                if size > MAX_BYTES:
                    path.replace(self._run_dir / name.earlier)
