"""What was measured of lanes on this host, kept from study to study; a lost cache is measured again."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sweep.disk import replace_file
from sweep.errors import RunDirError


def folder() -> Path:
    """Where the host keeps what can be made again; SWEEP_CACHE names another place."""
    if "SWEEP_CACHE" in os.environ:
        return Path(os.environ["SWEEP_CACHE"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sweep"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sweep"


def path_for(*parts: object) -> Path:
    """The file for what these parts name together: chip, program, versions."""
    name = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]
    return folder() / "lanes" / f"{name}.json"


def read(path: Path) -> dict[int, float] | None:
    """Examples per second by width; None where nothing readable is kept."""
    try:
        return {int(width): float(rate) for width, rate in json.loads(path.read_bytes()).items()} or None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write(path: Path, rates: Mapping[int, float]) -> None:
    """Keep them, if the disk lets us: the study does not depend on it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(rates).encode())
    except (OSError, RunDirError):
        return
