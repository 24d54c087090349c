"""The checksum at the end of each line of the log, and the chain that lines form by it.

A line ends with `,"sum":"PPPPPPPPCCCCCCCC"}`: C is the CRC-32 of all that stands before it, P the C of the
line before (zeros where there is none, or where a version without checksums wrote it). So a line that was
changed does not match its C, and a line that was moved or lost breaks the chain.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from zlib import crc32

START = b"00000000"
"""What stands for the line before the first one."""

MARK = b',"sum":"'
TAIL = len(MARK) + 18
"""How many bytes of a line, its newline not counted, the checksums take."""

_SUMS = re.compile(rb'[0-9a-f]{16}"}')
_OPENED = re.compile(rb'\{"event":"opened".*"format":(\d+)')


class Sum(NamedTuple):
    """The checksums that a line claims: the one before it, and its own."""

    previous: bytes
    own: bytes


def seal(line: bytes, previous: bytes) -> tuple[bytes, bytes]:
    """Give a line (its newline included) its checksum; gives it, and what the next one is to follow."""
    body = line[:-2] + MARK + previous
    own = b"%08x" % crc32(body)
    return body + own + b'"}\n', own


def claimed(line: bytes) -> Sum | None:
    """The checksums that a line (without its newline) claims; None where it has none."""
    if line[-TAIL:-18] != MARK or not _SUMS.fullmatch(line, max(0, len(line) - 18)):
        return None
    return Sum(line[-18:-10], line[-10:-2])


def holds(line: bytes) -> bool:
    """Whether a line that claims a checksum is as it was written."""
    return line[-10:] == b'%08x"}' % crc32(line[:-10])


def opened_format(line: bytes) -> int:
    """The format that a line opens a session of; 0 where it opens none."""
    found = _OPENED.match(line)
    return 0 if found is None else int(found[1])


def unsealed(line: bytes) -> bytes:
    """A sealed line as it was before."""
    return line[:-TAIL] + b"}"


def of_file(data: bytes) -> str:
    """The checksum of a whole file, as eight hexadecimal digits."""
    return f"{crc32(data):08x}"
