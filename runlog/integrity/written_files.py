"""The files beside the log that it vouches for, by their checksums.

study.yaml and provenance.json are replaced as a whole. Optuna's journal only grows: a record vouches for the
bytes that it had when a session ended, none where it was set aside. So does the log: where its lines have no
checksums, the first version that writes them vouches for all that it found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from runlog.integrity import checksum
from runlog.layout import JOURNAL, LOG
from runlog.reader import read_batches

KIND = "file"
"""The record that says what is about to be written, or has been."""

GROWING = (JOURNAL, LOG)
"""Files that are appended to: their records speak of how they begin."""

_BLOCK_BYTES = 1 << 20


@dataclass
class WrittenFiles:
    """The checksums of every version of a file that was written, and of how the growing ones begin.

    An older version counts too: a kill between the record and the file leaves it in place. `last` holds the
    checksum of the last one, `contents` what versions were made from, each where it differs from the one
    before. `heads` holds the length in bytes and the checksum of the last record.
    """

    sums: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    contents: dict[str, list[Any]] = field(default_factory=dict)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, record: dict[str, Any]) -> None:
        """Take in one `file` record."""
        if record["path"] in GROWING:
            self.heads[record["path"]] = (record["bytes"], record["crc32"])
        else:
            self.sums.setdefault(record["path"], set()).add(record["crc32"])
            self.last[record["path"]] = record["crc32"]
            if "content" in record:
                self.contents.setdefault(record["path"], []).append(record["content"])

    def is_last(self, name: str, data: bytes) -> bool:
        """Whether a file's last version held this."""
        return self.last.get(name) == checksum.of_file(data)

    def vouch_for(self, name: str, data: bytes) -> bool:
        """Whether a file holds what was written; true where no version recorded it."""
        return name not in self.sums or checksum.of_file(data) in self.sums[name]

    def vouch_for_head(self, path: Path) -> bool:
        """Whether a growing file begins with what it held; true where no version recorded it."""
        length, own = self.heads.get(path.name, (0, checksum.of_file(b"")))
        return head(path, length) == (length, own)


def head(path: Path, length: int | None = None) -> tuple[int, str]:
    """Length and checksum of a file's first `length` bytes, of all by default; of nothing where it is not."""
    read, digest = 0, 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES if length is None else min(_BLOCK_BYTES, length - read)):
                read, digest = read + len(block), crc32(block, digest)
    except FileNotFoundError:
        pass
    return read, f"{digest:08x}"


def head_fields(path: Path, length: int | None = None) -> dict[str, Any]:
    """The fields of the record of a growing file: of its first `length` bytes, by default of all."""
    length, own = head(path, length)
    return {"path": path.name, "bytes": length, "crc32": own}


def fields(name: str, data: bytes) -> dict[str, Any]:
    """The fields of the record of a file that is about to be written."""
    return {"path": name, "bytes": len(data), "crc32": checksum.of_file(data)}


def read_files(run_dir: Path) -> WrittenFiles:
    """What the log of a run directory says of its files; nothing where there is no log."""
    files = WrittenFiles()
    if (log := run_dir / LOG).exists():
        for batch in read_batches(log, kinds=(KIND,), on_damage=lambda _: None):
            for record in batch:
                files.add(record)
    return files
