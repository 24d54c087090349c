"""A log that was cut short, or whose lines without checksums were changed, is said."""

from __future__ import annotations

from pathlib import Path

from runlog.integrity import checksum, wholeness, written_files
from runlog.records import encode

OLD = [encode("message", float(number), {"level": "info", "text": "old"}) for number in range(3)]


def test_a_log_shorter_than_a_part_is_said(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "part-000000000000000-000000000000020-00000000-00000000.parquet").touch()
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"123456789\n" * 2 + b"torn")
    assert wholeness.problems(tmp_path) == []
    log.write_bytes(b"123456789\n" + b"torn")
    assert wholeness.problems(tmp_path) == [
        "log.jsonl was cut short: tables were made from 20 bytes, it has 10; its last records are lost"
    ]


def mixed(log: Path, *old: bytes) -> None:
    """A log that a version without checksums began, then one with them recorded how it begins."""
    log.write_bytes(b"".join(OLD))
    fields = written_files.head_fields(log)
    sealed, _ = checksum.seal(encode("file", 9.0, fields), checksum.START)
    log.write_bytes(b"".join(old) + sealed)


def test_changed_lines_of_format_1_are_said_once_format_2_has_seen_them(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(OLD))
    assert wholeness.problems(tmp_path) == []
    mixed(log, *OLD)
    assert wholeness.problems(tmp_path) == []
    mixed(log, OLD[0], OLD[1].replace(b"1.0", b"7.0"), OLD[2])
    assert wholeness.problems(tmp_path) == [
        "log.jsonl: its lines of format 1 are not those that were there when format 2 began"
    ]
    assert wholeness.problems(tmp_path / "nowhere") == []
