"""What Linux's commands say of a node; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusters.facts.lines import first, number


def read(said: Mapping[str, str]) -> dict[str, object]:
    """Facts by name, of outputs by the names of their probes."""
    hardware = said.get("hardware", "")
    kilobytes = {
        name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", hardware, re.MULTILINE)
    }
    swap_bytes = None
    if "SwapTotal" in kilobytes and "SwapFree" in kilobytes:
        swap_bytes = (kilobytes["SwapTotal"] - kilobytes["SwapFree"]) * 1024
    return {
        "uuid": first(r"^([0-9a-f]{32})$", said.get("uuid", "")),
        "chip": first(r"^model name\s*: (.*)$", hardware) or first(r"^(\w+)$", said.get("machine", "")),
        "memory_bytes": kilobytes["MemTotal"] * 1024 if "MemTotal" in kilobytes else None,
        "swap_used_bytes": swap_bytes,
        "fast_cores": number(first(r"^(\d+)$", hardware)),
        "slow_cores": 0,
        "heat": _heat(said.get("heat", "")),
        "native": True,
        "version": first(r'^VERSION_ID="?([^"\n]*)', said.get("version", "")) or None,
    }


def _heat(said: str) -> str | None:
    """The warmest of the zones, which are in thousandths of a degree."""
    degrees = [int(zone) / 1000 for zone in re.findall(r"^(\d+)$", said, re.MULTILINE)]
    return f"{max(degrees):.0f} °C" if degrees else None
