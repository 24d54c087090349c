"""What this Python is, and which of the packages that all nodes must share."""

import platform
from importlib import metadata


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def versions():
    return {"python": platform.python_version(), **{name: version(name) for name in ("ray", "mlx")}}
