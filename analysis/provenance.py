"""Where a run's results come from: versions, chips and hosts, as its writer recorded them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.errors import warn
from runlog.integrity.written_files import WrittenFiles


def read(path: Path, files: WrittenFiles) -> dict[str, Any]:
    """Read provenance.json; empty, with a warning, where it is missing or not what `files` vouch for."""
    try:
        data = path.read_bytes()
        if not files.vouch_for(path.name, data):
            warn(f"{path}: is not what the log recorded; versions and hosts are not known")
            return {}
        found = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        warn(f"{path}: {reason}; versions and hosts are not known")
        return {}
    if not isinstance(found, dict):
        warn(f"{path}: must hold a JSON object; versions and hosts are not known")
        return {}
    return found


def of_session(found: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """What provenance.json says of one session; of the last one where that is not in it."""
    sessions = found.get("sessions")
    for each in sessions if isinstance(sessions, list) else ():
        if isinstance(each, dict) and each.get("session") == number:
            return each
    return found
