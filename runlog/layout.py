"""File names inside a run directory, built and parsed in one place."""

from __future__ import annotations

import re
from typing import NamedTuple

FORMAT = 1
"""Version of everything in this package, kinds of records included; stands in each `opened` record."""

STUDY = "study.yaml"
PROVENANCE = "provenance.json"
LOG = "log.jsonl"
JOURNAL = "optuna.journal"
METRICS = "metrics"
TRIALS = "trials.parquet"
CHECKPOINTS = "checkpoints"
REPORT = "report.html"
LOCK = "lock"

_CHECKPOINT = re.compile(
    CHECKPOINTS + r"/trial-(\d{5,})/replicate-(\d+)/examples-(\d{9,})\.safetensors", re.ASCII
)
_PART = re.compile(r"part-(\d{15})-(\d{15})\.parquet", re.ASCII)


class CheckpointName(NamedTuple):
    """Which run and boundary a checkpoint belongs to; `path` is relative to the run directory."""

    trial: int
    replicate: int
    examples: int

    @property
    def path(self) -> str:
        """Where the checkpoint lies."""
        return (
            f"{CHECKPOINTS}/trial-{self.trial:05d}/replicate-{self.replicate}"
            f"/examples-{self.examples:09d}.safetensors"
        )

    @classmethod
    def parse(cls, path: str) -> CheckpointName | None:
        """Read a relative path back; None where it is not a checkpoint's, so nothing outside can be named."""
        match = _CHECKPOINT.fullmatch(path)
        return cls(*map(int, match.groups())) if match else None


class Span(NamedTuple):
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
    def parse(cls, name: str) -> Span | None:
        """Read a part's name back; None where it is no part's name."""
        match = _PART.fullmatch(name)
        return cls(*map(int, match.groups())) if match else None


class Piece(NamedTuple):
    """One range of the log and where its rows are read: from its Parquet part, or from the log itself."""

    span: Span
    from_part: bool


def cover(parts: list[Span], stop: int) -> list[Piece]:
    """Cut the log's first `stop` bytes into pieces in order, each byte in exactly one.

    Parts may overlap (a merge was interrupted before it removed what it replaced) and may be missing;
    the longest part at a place wins, and what no part holds is left to the log.
    """
    longest: dict[int, Span] = {}
    for part in parts:
        if part.start < part.stop <= stop:
            longest[part.start] = max(part, longest.get(part.start, part))
    pieces: list[Piece] = []
    position = 0
    for start in sorted(longest):
        if start < position:
            continue
        if start > position:
            pieces.append(Piece(Span(position, start), from_part=False))
        pieces.append(Piece(longest[start], from_part=True))
        position = longest[start].stop
    if position < stop:
        pieces.append(Piece(Span(position, stop), from_part=False))
    return pieces
