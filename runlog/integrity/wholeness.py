"""What is wrong with the log as a whole: it was cut short, or its oldest lines were changed."""

from __future__ import annotations

from pathlib import Path

from runlog.integrity import checksum
from runlog.integrity.written_files import read_files
from runlog.layout import LOG
from runlog.reader import UnreadableLogError, whole_bytes
from runlog.segments import parts_of


def problems(run_dir: Path) -> list[str]:
    """What to say of the log; nothing where it is whole, or not there."""
    found = (_cut_short(run_dir), _changed_beginning(run_dir))
    return [text for text in found if text is not None]


def _cut_short(run_dir: Path) -> str | None:
    """Whether the log ends before what a part was made from."""
    longest = max((part.range.stop for part in parts_of(run_dir)), default=0)  # listed first: the log grows
    size = whole_bytes(run_dir / LOG)
    if longest <= size:
        return None
    made = f"tables were made from {longest} bytes, it has {size}"
    return f"{LOG} was cut short: {made}; its last records are lost"


def _changed_beginning(run_dir: Path) -> str | None:
    """Whether lines without checksums are still those that the first session with checksums found."""
    log = run_dir / LOG
    try:
        with log.open("rb") as file:
            first = file.readline()
        if checksum.claimed(first[:-1]) is not None or read_files(run_dir).vouch_for_head(log):
            return None
    except (FileNotFoundError, UnreadableLogError):
        return None
    return f"{LOG}: its lines of format 1 are not those that were there when format 2 began"
