"""Lines of the log checked in order, each by its own checksum and all by the chain that they form.

Versions before format 2 wrote no checksums: such lines stand at the beginning of a log, nowhere else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Self

from runlog.integrity import checksum
from runlog.layout import FORMAT

_TAIL = checksum.TAIL

FIRST_FORMAT = 2
"""From this format on every line has a checksum."""


class Step(NamedTuple):
    """A line without its checksum, None where it is damaged; `gap` where lines are missing before it.

    `single`: a damaged line is one record, since its neighbours follow one another across it. Another may
    hold several, of any kind: what is between them was overwritten.
    """

    line: bytes | None
    gap: bool = False
    single: bool = False


class Chain:
    """Knows what the next line must follow."""

    def __init__(self, previous: bytes | None = checksum.START, *, sealed: bool = False) -> None:
        """`previous` is the checksum of the line before, None where it is not known."""
        self._previous = previous
        self._sealed = sealed

    @classmethod
    def at(cls, path: Path, start: int) -> Self:
        """The chain as it stands before the line that begins at `start`."""
        if start == 0:
            return cls()
        own = sum_before(path, start)
        return cls(own, sealed=own is not None)

    def follow(self, lines: list[bytes], places: list[int] | None) -> list[bytes] | None:
        """The lines at `places` (None: all) without their checksums, at once; None where `step` must look.

        All lines have to follow one another, those at `places` and the last one to match their checksums.
        """
        chosen = lines if places is None else [lines[place] for place in places]
        if not self._sealed and not any(line[-_TAIL:-18] == checksum.MARK for line in lines):
            return None if any(map(_must_have_one, chosen)) or any(map(_has_a_stump, lines)) else chosen
        previous = self._previous or lines[0][-18:-10]
        if not _form_a_chain(lines, previous) or not all(map(checksum.holds, chosen)):
            return None
        if not checksum.holds(lines[-1]):
            return None
        self._previous, self._sealed = lines[-1][-10:-2], True
        return [line[:-_TAIL] + b"}" for line in chosen]

    def step(self, line: bytes, following: bytes | None) -> Step:
        """Check one line; `following` is the next one, where it is known."""
        sums = checksum.claimed(line)
        if sums is None:
            after = None if following is None else checksum.claimed(following)
            followed = after is not None and after.previous != checksum.START
            must = self._sealed or followed or _must_have_one(line) or _has_a_stump(line)
            if must and not _is_newer(line):
                self._previous = None
                return Step(None)
            return Step(line)
        before = self._previous
        self._sealed = True
        if not checksum.holds(line):
            after = None if following is None else checksum.claimed(following)
            single = before == sums.previous and after is not None and after.previous == sums.own
            self._previous = sums.own if single else None
            return Step(None, single=single)
        self._previous = sums.own
        return Step(checksum.unsealed(line), gap=before is not None and before != sums.previous)


def _form_a_chain(lines: list[bytes], previous: bytes) -> bool:
    """Whether each line claims to follow the one before it."""
    for line in lines:
        if line[-18:-10] != previous or line[-_TAIL:-18] != checksum.MARK:
            return False
        previous = line[-10:-2]
    return True


def sum_before(path: Path, position: int) -> bytes | None:
    """The checksum that the line before a place of the log claims for itself; None where it has none."""
    with path.open("rb") as file:
        file.seek(max(0, position - _TAIL - 1))
        sums = checksum.claimed(file.read(min(_TAIL, max(0, position - 1))))
    return None if sums is None else sums.own


def _must_have_one(line: bytes) -> bool:
    """Whether a line without a checksum opens a session of a version that writes them."""
    return FIRST_FORMAT <= checksum.opened_format(line) <= FORMAT


def _has_a_stump(line: bytes) -> bool:
    """Whether a line has what is left of a checksum: no record has a field of that name, a metric may."""
    if checksum.MARK not in line:
        return False
    try:
        return "sum" in json.loads(line)
    except ValueError:
        return True


def _is_newer(line: bytes) -> bool:
    return checksum.opened_format(line) > FORMAT
