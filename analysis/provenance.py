"""Where a run's results come from: versions, chips and hosts, as its writer recorded them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis.errors import warn


def read(path: Path) -> dict[str, Any]:
    """Read provenance.json; empty, with a warning, where it is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        warn(f"{path}: {reason}; versions and hosts are not known")
        return {}
    if not isinstance(found, dict):
        warn(f"{path}: must hold a JSON object; versions and hosts are not known")
        return {}
    return found
