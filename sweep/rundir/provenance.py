"""Where results come from: versions, chip, hosts, sessions, and the hash of the task's source."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sweep.errors import RunDirError

PACKAGES = ("mlx", "ray", "optuna", "numpy", "pandas", "pyarrow", "sweep-mlx")
"""Distributions whose versions are recorded; the ones that are not installed are left out."""


def versions() -> dict[str, str]:
    """Versions of Python and of PACKAGES."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def chip() -> str:
    """Name the processor as its maker does."""
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def entry_of(
    session: int,
    *,
    task_hash: str,
    hosts: Sequence[str],
    folder: str | None = None,
    reads: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Describe this session; `folder` is where the study file lies, and with it the task.

    `reads` are the files that the task reads.
    """
    return {
        "session": session,
        "time": time.time(),
        "versions": versions(),
        "platform": platform.platform(),
        "host": platform.node(),
        "hosts": list(hosts),
        "chip": chip(),
        "task_sha256": task_hash,
        **({"folder": folder} if folder is not None else {}),
        **({"reads": {name: dict(each) for name, each in reads.items()}} if reads else {}),
    }


def with_entry(earlier: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A session's entry after those that `earlier` holds; the top level speaks of the last one."""
    sessions = list(earlier.get("sessions", [])) if earlier else []
    others = [each for each in sessions if each.get("session") != entry["session"]]
    return {**entry, "sessions": [*others, dict(entry)]}


def encoded(found: Mapping[str, Any]) -> bytes:
    """What provenance.json holds."""
    return json.dumps(found, indent=2).encode() + b"\n"


def parse_provenance(path: Path, data: bytes) -> dict[str, Any]:
    """What a provenance.json holds. Raises RunDirError where it is damaged."""
    try:
        found = json.loads(data)
    except ValueError as error:
        raise RunDirError(f"{path}: is damaged ({error}); move it away, a new one is written") from error
    if not isinstance(found, dict):
        raise RunDirError(f"{path}: must hold a JSON object; move it away, a new one is written")
    return found
