"""Results of other chips that the package carries, and the values that keys have everywhere."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

_FOLDER = resources.files("selftest") / "recorded"


def keys() -> dict[str, list[int]]:
    """The recorded values of keys."""
    found: dict[str, list[int]] = json.loads((_FOLDER / "keys.json").read_text())
    return found


def chips() -> list[dict[str, Any]]:
    """What `selftest.json` said on other machines."""
    files = sorted(entry.name for entry in _FOLDER.iterdir() if entry.name.startswith("chip-"))
    return [json.loads((_FOLDER / name).read_text()) for name in files]


def label(found: dict[str, Any]) -> str:
    """A recorded machine in a few words."""
    machine = found["machine"]
    return f"{machine['chip']}, {machine['device'].upper()}, {machine['system']}"
