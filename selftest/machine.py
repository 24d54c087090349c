"""The chip and the versions of what runs here; no names of hosts, users or folders."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

PACKAGES = ("sweep-mlx", "mlx", "mlx-metal", "mlx-cuda", "ray", "optuna", "numpy")


def describe() -> dict[str, Any]:
    """What is known of this machine; imports MLX."""
    from train_core import device

    return {
        "chip": _chip(device.chip()),
        "device": device.kind(),
        "memory_gb": round(device.memory_bytes() / 1e9),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": _system(),
    }


def versions() -> dict[str, str]:
    """Python and the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def is_exact() -> bool:
    """Whether this is the build on which lanes equal single runs bit for bit: MLX's CPU build on x86-64."""
    from train_core import device

    return device.kind() == "cpu" and platform.machine() in ("x86_64", "AMD64")


def _chip(name: str) -> str:
    """MLX calls some CPUs by their architecture alone."""
    return name if name not in ("unknown", "") else platform.machine()


def _system() -> str:
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
