"""What this host keeps from study to study: measured lanes, compiled kernels; what is lost is made again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sweep.errors import RunDirError
from sweep.rundir.disk import replace_file
from train_core import device


def folder() -> Path:
    """Where the host keeps what can be made again; SWEEP_CACHE names another place."""
    if "SWEEP_CACHE" in os.environ:
        return Path(os.environ["SWEEP_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sweep"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sweep"


CUDA_CACHES = ("CONV", "FFT", "GRAPH", "SDPA", "SDPA_BACKWARD")
CUDA_CACHE_SIZE = 4096
"""Plans and graphs of each kind that MLX keeps: a worker meets those of many programs, at many widths."""


def prepare_cuda() -> None:
    """Have CUDA's kernels kept here, not in the temporary folder; before the first one is compiled.

    MLX raises an error where a cache of plans has missed twice as often as it has places: a study of many
    shapes would end by it, so that check is off and the caches are larger. What is set already stays. Metal
    keeps its own kernels and has no such caches.
    """
    if device.cuda():
        os.environ.setdefault("MLX_PTX_CACHE_DIR", str(folder() / "kernels" / version("mlx")))
        os.environ.setdefault("MLX_ENABLE_CACHE_THRASHING_CHECK", "0")
        for cache in CUDA_CACHES:
            os.environ.setdefault(f"MLX_CUDA_{cache}_CACHE_SIZE", str(CUDA_CACHE_SIZE))


def path_for(*parts: object) -> Path:
    """The file for what these parts name together: chip, program, versions."""
    name = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]
    return folder() / "lanes" / f"{name}.json"


def read(path: Path) -> Any:
    """What is kept there, as JSON has it; None where nothing readable is."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def write(path: Path, value: object) -> None:
    """Keep it, if the disk lets us: the study does not depend on it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(value).encode())
    except (OSError, RunDirError):
        return
