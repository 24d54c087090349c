"""What an earlier commit takes for the same, in the same run: `--before COMMIT`.

Both are measured in processes of their own: one that has done other work is slower.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUFFIX = ", before"
"""How rows of the earlier commit are named."""


@contextmanager
def tree(commit: str | None) -> Iterator[Path | None]:
    """The files of a commit, for as long as the block runs; None where no commit is named."""
    if commit is None:
        yield None
        return
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def measured(tree: Path, call: str) -> float:
    """The number that a call of a benchmark gives there, such as `asks.ask_ms(trials=1000)`."""
    module = call.partition(".")[0]
    code = f"from benchmarks import {module}; print(repr(float({call})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},  # workers import from there, too
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])
