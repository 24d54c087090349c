"""JSON inside a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def as_script(content: Mapping[str, Any] | Iterable[Any]) -> str:
    """JSON that may stand inside a page's script element, whatever texts it holds."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
