"""Durations (`10m`, `1h30m`) and sizes (`2 GB`) as a person writes them; 1 GB is 10^9 bytes, 1 GiB 2^30."""

from __future__ import annotations

import re
from decimal import Decimal

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(
    "".join(rf"(?:(?P<{unit}>\d{{1,12}}(?:\.\d+)?)\s*{unit}\s*)?" for unit in _SECONDS), re.ASCII
)
_BYTES = {"B": 1} | {
    f"{prefix}{end}": base**power
    for end, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate("kMGT", start=1)
}
_SIZE = re.compile(r"(?P<number>\d{1,12}(?:\.\d+)?)\s*(?P<unit>[kMGT]i?B|B)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds in `90s`, `10m`, `1h30m`, `2d`; raises ValueError on anything else."""
    match = _DURATION.fullmatch(text.strip())
    parts = {unit: number for unit, number in match.groupdict().items() if number} if match else {}
    seconds = sum((Decimal(number) * _SECONDS[unit] for unit, number in parts.items()), Decimal(0))
    if seconds <= 0:
        raise ValueError("must be a duration above zero such as 90s, 10m or 1h30m")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """The text that `parse_duration` reads as exactly these seconds, above zero."""
    text, rest = "", Decimal(repr(seconds))
    for unit, size in _SECONDS.items():
        count = rest if unit == "s" else rest // size
        rest -= count * size
        if count:
            text += f"{count.normalize():f}{unit}"
    return text


def parse_size(text: str) -> int:
    """Bytes in `2 GB`, `512 MiB`, `1.5GB`; raises ValueError on anything else."""
    match = _SIZE.fullmatch(text.strip())
    size = Decimal(match["number"]) * _BYTES[match["unit"]] if match else Decimal(0)
    if size <= 0 or size != int(size):
        raise ValueError("must be a size of whole bytes above zero such as 2 GB, 500 MB or 1 GiB")
    return int(size)


def format_size(size_bytes: int) -> str:
    """The text that `parse_size` reads as exactly these bytes."""
    unit = max((unit for unit, size in _BYTES.items() if size_bytes % size == 0), key=_BYTES.__getitem__)
    return f"{size_bytes // _BYTES[unit]} {unit}"
