"""The log's bytes cut into segments, each read from one Parquet part or from the log itself."""

from __future__ import annotations

import re
from typing import NamedTuple

_PART = re.compile(r"part-(\d{15})-(\d{15})\.parquet", re.ASCII)


class LogRange(NamedTuple):
    """A range of bytes of the log that begins and ends between lines."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes it holds."""
        return self.stop - self.start

    @property
    def part(self) -> str:
        """Name of the Parquet part derived from these bytes."""
        return f"part-{self.start:015d}-{self.stop:015d}.parquet"

    @classmethod
    def parse(cls, name: str) -> LogRange | None:
        """Read a part's name back; None where it is no part's name."""
        match = _PART.fullmatch(name)
        return cls(*map(int, match.groups())) if match else None


class Segment(NamedTuple):
    """One range of the log and where its rows are read: from its Parquet part, or from the log itself."""

    range: LogRange
    from_part: bool


def segments(parts: list[LogRange], stop: int) -> list[Segment]:
    """Cut the log's first `stop` bytes into segments in order, each byte in exactly one.

    Parts may overlap (a merge was interrupted before it removed what it replaced) and may be missing;
    the longest part at a place wins, and what no part holds is left to the log.
    """
    longest: dict[int, LogRange] = {}
    for part in parts:
        if part.start < part.stop <= stop:
            longest[part.start] = max(part, longest.get(part.start, part))
    found: list[Segment] = []
    position = 0
    for start in sorted(longest):
        if start < position:
            continue
        if start > position:
            found.append(Segment(LogRange(position, start), from_part=False))
        found.append(Segment(longest[start], from_part=True))
        position = longest[start].stop
    if position < stop:
        found.append(Segment(LogRange(position, stop), from_part=False))
    return found
