"""Reading the log: in batches, at any time, beside its writer; damage is named, never passed over.

Bytes after the last newline are a line still being written, or torn by a kill: no reader sees them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from runlog.layout import FORMAT
from runlog.records import PREFIX, Record, is_newer, is_record

_BLOCK_BYTES = 1 << 17


class NewerFormatError(Exception):
    """The log was written by a newer version than this one can read."""


class Damage(NamedTuple):
    """A line of the log that is not a record; `line` counts from 1."""

    path: Path
    line: int
    found: str

    def __str__(self) -> str:
        return f"{self.path.name} line {self.line} is damaged and was skipped: {self.found}"


OnDamage = Callable[[Damage], None]


def whole_bytes(path: Path) -> int:
    """Count the log's bytes up to and including its last newline; 0 where there is no log yet."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return 0
    with file:
        position = file.seek(0, 2)
        while position > 0:
            start = max(0, position - _BLOCK_BYTES)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            position = start
    return 0


def read_batches(
    path: Path,
    *,
    on_damage: OnDamage,
    start: int = 0,
    stop: int | None = None,
    kinds: Collection[str] | None = None,
) -> Iterator[list[Record]]:
    """Yield the records between two places of the log, in order, some hundreds at a time.

    `start` and `stop` lie between lines (`stop` None: the last whole line). With `kinds`, lines of
    other kinds are not even parsed. Raises NewerFormatError after what came before it, and
    FileNotFoundError.
    """
    wanted = tuple(PREFIX + kind.encode() + b'"' for kind in kinds) if kinds is not None else None
    end = whole_bytes(path) if stop is None else stop
    for offset, block in _blocks(path, start, end):
        lines = block.split(b"\n")[:-1]
        positions: Sequence[int] = range(len(lines))
        if wanted is not None:
            positions = [
                position
                for position, line in enumerate(lines)
                if line.startswith(wanted) or not line.startswith(PREFIX)
            ]
            lines = [lines[position] for position in positions]
        if not lines:
            continue
        records = _parse(lines)
        if records is None:
            first_line = _lines_before(path, offset) + 1
            records = []
            for position, line in zip(positions, lines, strict=True):
                if one := _parse([line]):
                    records += one
                    if _newer(one) is not None:
                        break
                else:
                    on_damage(Damage(path, first_line + position, repr(line[:60])))
        newer = _newer(records)
        if newer is None:
            yield records
            continue
        if newer > 0:
            yield records[:newer]
        found = records[newer]["format"]
        raise NewerFormatError(
            f"{path} was written in format {found}, this version reads up to {FORMAT}: update sweep-mlx"
        )


def _blocks(path: Path, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines in blocks of about _BLOCK_BYTES, each with its offset in the file."""
    with path.open("rb") as file:
        file.seek(start)
        offset, pending = start, bytearray()
        while (left := stop - offset - len(pending)) > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
            cut = block.rfind(b"\n") + 1
            if cut == 0:
                pending += block
                continue
            whole = bytes(pending) + block[:cut]
            yield offset, whole
            offset += len(whole)
            pending = bytearray(block[cut:])


def _parse(lines: list[bytes]) -> list[Record] | None:
    """Parse all lines in one call, which takes half the time of one call each; None where any is damaged."""
    try:
        records: list[Record] = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        return None
    return records if len(records) == len(lines) and all(map(is_record, records)) else None


def _lines_before(path: Path, offset: int) -> int:
    return sum(block.count(b"\n") for _, block in _blocks(path, 0, offset))


def _newer(records: list[Record]) -> int | None:
    """Index of the record from which on a newer version wrote; None where there is none."""
    found = (index for index, each in enumerate(records) if each["event"] == "opened" and is_newer(each))
    return next(found, None)
