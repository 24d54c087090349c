"""Reading the log: in batches, at any time, beside its writer; damage is named, never passed over.

Bytes after the last newline are a line still being written, or torn by a kill: no reader sees them. What
neither can leave, a zero or the end of a line, is damage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from copy import copy
from pathlib import Path
from typing import NamedTuple

from runlog.integrity import checksum
from runlog.integrity.chain import Chain
from runlog.layout import FORMAT
from runlog.records import FIELDS, PREFIX, Record, is_newer, is_record

_BLOCK_BYTES = 1 << 17


class UnreadableLogError(Exception):
    """The log cannot be read as it is; the message says what to do."""


class NewerFormatError(UnreadableLogError):
    """The log was written by a newer version than this one can read."""


class ConvertedLogError(UnreadableLogError):
    """An editor or a sync tool took the log for text: it has other line ends, or a byte order mark."""


class Damage(NamedTuple):
    """A line of the log that is not as it was written, or with `gap` does not follow the one before it.

    `line` counts from 1.
    """

    path: Path
    line: int
    found: str = ""
    gap: bool = False

    def __str__(self) -> str:
        if self.gap:
            return f"{self.path.name}: records are missing or out of order before line {self.line}"
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
    other kinds are not even parsed. Each line that is read matches its checksum; a line that does not, and
    a place where lines are missing, is told to `on_damage`. Raises NewerFormatError after what came before
    it, ConvertedLogError and FileNotFoundError.
    """
    if is_converted(path):
        raise ConvertedLogError(
            f"{path}: was converted as text (line ends or a byte order mark), by an editor or a sync tool. "
            f"Convert it back: python -m sweep verify {path.parent} --repair"
        )
    wanted = None if kinds is None else tuple(map(_beginning, kinds))
    end = whole_bytes(path) if stop is None else stop
    chain, lines_before = Chain.at(path, start), _LinesBefore(path)
    for offset, block in _blocks(path, start, end):
        lines = block.split(b"\n")[:-1]
        places = None if wanted is None else _places(lines, wanted)
        before = copy(chain)
        plain = chain.follow(lines, places)
        records = None if plain is None else _parse(plain)
        if records is None:
            chain = before
            records = _sort_out(path, lines_before(offset), lines, places, chain, on_damage)
        newer = _newer(records)
        if newer is None:
            if records:
                yield records
            continue
        if newer > 0:
            yield records[:newer]
        found = records[newer]["format"]
        raise NewerFormatError(
            f"{path} was written in format {found}, this version reads up to {FORMAT}: update sweep-mlx"
        )
    if stop is None and _is_damaged_end(path, end):
        on_damage(Damage(path, lines_before(end) + 1, "the end of the file is not as it was written"))


BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_converted(path: Path) -> bool:
    """Whether the log's first line is whole but for what a conversion of text puts before or after it."""
    with path.open("rb") as file:
        line = file.readline()
    plain = line.removeprefix(BYTE_ORDER_MARK).removesuffix(b"\n").removesuffix(b"\r")
    return plain != line.removesuffix(b"\n") and checksum.claimed(plain) is not None and checksum.holds(plain)


_NO_UNFINISHED_LINE = re.compile(rb'\0|,"sum":"[0-9a-f]{16}"}.', re.DOTALL)


def _is_damaged_end(path: Path, end: int) -> bool:
    """Whether what stands after the last newline cannot be the beginning of a line."""
    with path.open("rb") as file:
        file.seek(end)
        return _NO_UNFINISHED_LINE.search(file.read()) is not None


def _beginning(kind: str) -> bytes:
    return PREFIX + kind.encode() + b'"'


_KNOWN = tuple(map(_beginning, FIELDS))


def _places(lines: list[bytes], wanted: tuple[bytes, ...]) -> list[int]:
    """Which lines are to be read: those of a wanted kind, and those that begin as no kind does."""
    return [
        place for place, line in enumerate(lines) if line.startswith(wanted) or not line.startswith(_KNOWN)
    ]


def _sort_out(
    path: Path,
    before: int,
    lines: list[bytes],
    places: list[int] | None,
    chain: Chain,
    on_damage: OnDamage,
) -> list[Record]:
    """Read a block in which something is wrong line by line, and say what; `before` it are so many lines."""
    first = before + 1
    reading = set(range(len(lines)) if places is None else places)
    records: list[Record] = []
    for place, line in enumerate(lines):
        plain, gap, single = chain.step(line, lines[place + 1] if place + 1 < len(lines) else None)
        if gap:
            on_damage(Damage(path, first + place, gap=True))
        if place not in reading and (plain is not None or single):
            continue
        record = None if plain is None else _parse([plain])
        if record is None:  # of a kind that is not wanted, too: lines became one where their ends were lost
            on_damage(Damage(path, first + place, repr(line[:60])))
            continue
        records += record
        if _newer(record) is not None:
            break
    return records


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


class _LinesBefore:
    """How many lines stand before a place; the next place comes after it, and is counted from there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = self._lines = 0

    def __call__(self, offset: int) -> int:
        self._lines += sum(block.count(b"\n") for _, block in _blocks(self._path, self._offset, offset))
        self._offset = offset
        return self._lines


def _newer(records: list[Record]) -> int | None:
    """Index of the record from which on a newer version wrote; None where there is none."""
    found = (index for index, each in enumerate(records) if each["event"] == "opened" and is_newer(each))
    return next(found, None)
