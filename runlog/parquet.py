"""Parquet files whose damage is seen: written with checksums, read only where these hold. Needs pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from runlog.integrity import checksum
from runlog.integrity.chain import sum_before
from runlog.segments import LogRange, Part

_CONTENT = b"sweep.content"
_LOG = b"sweep.log"


class DamagedTableError(Exception):
    """A Parquet file is not as it was written; the message says what is wrong."""


def write(path: Path, table: pa.Table) -> None:
    """Write a file; every page has a checksum."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read(path: Path) -> pa.Table:
    """Read a file and check its pages. Raises DamagedTableError, FileNotFoundError."""
    return _parsed(path.read_bytes())


def made_part(temporary: Path, log: Path, log_range: LogRange) -> Part:
    """The part that a written file is, made from a range of the log."""
    own = sum_before(log, log_range.stop) or checksum.START
    return Part(log_range, own.decode(), checksum.of_file(temporary.read_bytes()))


def read_part(folder: Path, part: Part, *, log: Path | None) -> pa.Table:
    """Read a part; with `log`, only where it was made from that log.

    Raises DamagedTableError, and FileNotFoundError where it has gone, merged into a longer one.
    """
    try:
        data = (folder / part.name).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedTableError(error.strerror or str(error)) from error
    if part.is_checked and checksum.of_file(data) != part.file_sum:
        raise DamagedTableError("its checksum does not hold")
    if log is not None and part.is_checked:
        own = (sum_before(log, part.range.stop) or checksum.START).decode()
        if own != part.log_sum:
            raise DamagedTableError("it was not made from this log")
    return _parsed(data)


def stamped(table: pa.Table, log_range: LogRange, log_sum: bytes | None) -> pa.Table:
    """The table with the range of the log that it was made from, and a checksum of that and its content."""
    made_from = f"{log_range.start}-{log_range.stop}-{(log_sum or checksum.START).decode()}".encode()
    return table.replace_schema_metadata({_CONTENT: _content(table, made_from), _LOG: made_from})


def is_stamped(table: pa.Table) -> bool:
    """Whether a version that stamps tables wrote this one."""
    metadata = table.schema.metadata or {}
    return _CONTENT in metadata or _LOG in metadata


def check_stamp(table: pa.Table) -> None:
    """Raise DamagedTableError where a stamped table's content is not the stamped one."""
    metadata = table.schema.metadata or {}
    if not is_stamped(table):
        return
    expected = _content(table, metadata.get(_LOG, b"")).encode()
    if metadata.get(_CONTENT) != expected:
        raise DamagedTableError("its checksum does not hold")


def made_from(table: pa.Table) -> tuple[int, str]:
    """How many bytes of the log a table was made from, and the checksum of their last line.

    Only for a stamped table whose stamp was checked.
    """
    return _made_from(table.schema.metadata[_LOG])


def stamp(path: Path) -> tuple[int, str] | None:
    """The same of a file, by what it claims; None where it has no stamp, or cannot be read."""
    try:
        return _made_from((pq.read_schema(path).metadata or {})[_LOG])
    except (KeyError, ValueError, OSError, pa.ArrowException):
        return None


def _made_from(stamped: bytes) -> tuple[int, str]:
    _, stop, own = stamped.decode().split("-")
    return int(stop), own


def _content(table: pa.Table, made_from: bytes) -> str:
    """A checksum of names, types and values, whatever version of Arrow wrote or reads them."""
    digest = crc32(made_from)
    for name, column in zip(table.column_names, table.columns, strict=True):
        text = json.dumps([name, str(column.type), column.to_pylist()], default=str)
        digest = crc32(text.encode(), digest)
    return f"{digest:08x}"


def _parsed(data: bytes) -> pa.Table:
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:  # a damaged name is a UnicodeDecodeError
        lines = str(error).splitlines() or ["it is no Parquet file"]
        raise DamagedTableError(lines[0]) from error
