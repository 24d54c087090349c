"""Records of a run's log, while it is written too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def records(run_dir: Path, *events: str) -> list[dict[str, Any]]:
    """The whole lines of these kinds."""
    log = run_dir / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    return [record for record in found if record["event"] in events]
