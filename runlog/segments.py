"""The log's bytes cut into segments, each read from one Parquet part or from the log itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from runlog.integrity.chain import sum_before
from runlog.integrity.checksum import START
from runlog.layout import METRICS
from runlog.reader import whole_bytes

_PART = re.compile(r"part-(\d{15})-(\d{15})(?:-([0-9a-f]{8})-([0-9a-f]{8}))?\.parquet", re.ASCII)


class LogRange(NamedTuple):
    """A range of bytes of the log that begins and ends between lines."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes it holds."""
        return self.stop - self.start


class Part(NamedTuple):
    """A Parquet part, all of which stands in its name: the range of the log it was made from, and checksums.

    `log_sum` is the checksum of the range's last line, zeros where a version without checksums wrote that;
    `file_sum` is the file's own. Both are empty in a part of such a version.
    """

    range: LogRange
    log_sum: str = ""
    file_sum: str = ""

    @property
    def name(self) -> str:
        """Its file's name."""
        sums = f"-{self.log_sum}-{self.file_sum}" if self.is_checked else ""
        return f"part-{self.range.start:015d}-{self.range.stop:015d}{sums}.parquet"

    @property
    def is_checked(self) -> bool:
        """Whether its content can be told from a damaged one."""
        return bool(self.file_sum)

    @classmethod
    def parse(cls, name: str) -> Part | None:
        """Read a file's name back; None where it is no part's."""
        match = _PART.fullmatch(name)
        if match is None:
            return None
        return cls(LogRange(int(match[1]), int(match[2])), match[3] or "", match[4] or "")


class Segment(NamedTuple):
    """One range of the log and the part that its rows are read from, None where the log has them."""

    range: LogRange
    part: Part | None


def segments(parts: list[Part], stop: int) -> list[Segment]:
    """Cut the log's first `stop` bytes into segments in order, each byte in exactly one.

    Parts may overlap (a merge was interrupted before it removed what it replaced) and may be missing;
    the longest part at a place wins, and what no part holds is left to the log.
    """
    longest: dict[int, Part] = {}
    for part in parts:
        if part.range.start < part.range.stop <= stop:
            longest[part.range.start] = max(part, longest.get(part.range.start, part))
    found: list[Segment] = []
    position = 0
    for start in sorted(longest):
        if start < position:
            continue
        if start > position:
            found.append(Segment(LogRange(position, start), None))
        found.append(Segment(longest[start].range, longest[start]))
        position = longest[start].range.stop
    if position < stop:
        found.append(Segment(LogRange(position, stop), None))
    return found


def made_from(log: Path, parts: Iterable[Part]) -> list[Part]:
    """Those of the parts with checksums that were made from the log as it is.

    Of another one, changed or cut short since, the ranges are none of this log: they may end within a line.
    """
    whole = whole_bytes(log)
    return [
        part
        for part in parts
        if part.is_checked
        and part.range.stop <= whole
        and (sum_before(log, part.range.stop) or START).decode() == part.log_sum
    ]


def parts_of(run_dir: Path) -> list[Part]:
    """The parts of a run directory, sound or not."""
    found = [Part.parse(path.name) for path in (run_dir / METRICS).glob("part-*.parquet")]
    return sorted(part for part in found if part is not None)
