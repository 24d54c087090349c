from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog import reader
from runlog.integrity import checksum
from runlog.reader import Damage, NewerFormatError, read_batches, whole_bytes
from runlog.records import Record, encode


def message(number: int) -> bytes:
    return encode("message", float(number), {"level": "info", "text": "x" * (number % 40)})


def read(path: Path, **options: object) -> tuple[list[Record], list[Damage]]:
    damage: list[Damage] = []
    batches = read_batches(path, on_damage=damage.append, **options)  # type: ignore[arg-type]
    return [record for batch in batches for record in batch], damage


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty records, in blocks of a few lines."""
    monkeypatch.setattr(reader, "_BLOCK_BYTES", 256)
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(map(message, range(40))))
    return path


UNSEALED = st.binary(max_size=50).filter(lambda each: checksum.MARK not in each)
"""Bytes that do not look like a checksum: after one, lines without are damaged."""


def times(records: list[Record]) -> list[float]:
    return [record["time"] for record in records]


def test_records_come_in_order(log: Path) -> None:
    records, damage = read(log)
    assert times(records) == list(range(40))
    assert not damage


def test_a_last_line_without_its_newline_is_not_seen(log: Path) -> None:
    whole = log.stat().st_size
    with log.open("ab") as file:
        file.write(message(40)[:-1])
    assert whole_bytes(log) == whole
    assert times(read(log)[0]) == list(range(40))


def test_a_span_gives_its_lines_only(log: Path) -> None:
    start, stop = len(b"".join(map(message, range(10)))), len(b"".join(map(message, range(20))))
    assert times(read(log, start=start, stop=stop)[0]) == list(range(10, 20))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0" * 300,
        b"{",
        b'{"event":"message"}',
        b'{"a":1},{"b":2}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"null",
    ],
)
def test_damaged_lines_are_named_and_all_others_read(log: Path, garbage: bytes) -> None:
    lines = log.read_bytes().splitlines()
    lines[17:18] = [garbage]
    log.write_bytes(b"\n".join(lines) + b"\n")
    records, damage = read(log)
    assert times(records) == [each for each in range(40) if each != 17]
    assert [each.line for each in damage] == [18]
    assert "log.jsonl line 18" in str(damage[0])


def test_a_log_that_is_damaged_everywhere_is_read_a_few_times_at_most(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To say which line it is, all before each damaged block was read again."""
    log.write_bytes(b"{\n".join(map(message, range(400))))
    plain, read_bytes = reader._blocks, 0

    def counting(path: Path, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        nonlocal read_bytes
        for offset, block in plain(path, start, stop):
            read_bytes += len(block)
            yield offset, block

    monkeypatch.setattr(reader, "_blocks", counting)
    records, damage = read(log)
    assert times(records) == list(range(400))
    assert [each.line for each in damage] == list(range(2, 799, 2))
    assert read_bytes <= 3 * log.stat().st_size


def test_two_halves_of_one_record_are_two_damaged_lines(log: Path) -> None:
    lines = log.read_bytes().splitlines()
    lines[5:6] = [lines[5][:20], lines[5][20:]]
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert [each.line for each in read(log)[1]] == [6, 7]


@pytest.mark.parametrize("joined", [b"\n", b","])
def test_a_comma_and_a_newline_are_not_the_same(log: Path, joined: bytes) -> None:
    lines = log.read_bytes().splitlines()
    if joined == b",":
        lines[5:7] = [lines[5] + b"," + lines[6]]
    else:
        lines[5:6] = lines[5].split(b",", 1)
    log.write_bytes(b"\n".join(lines) + b"\n")
    assert [each.line for each in read(log)[1]] == ([6] if joined == b"," else [6, 7])


def test_kinds_choose_lines_and_damage_is_still_named(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b"rubbish\n" + encode("closed", 99.0, {"reason": "done"}))
    records, damage = read(log, kinds=("closed",))
    assert times(records) == [99.0]
    assert [each.line for each in damage] == [41]


def test_two_lines_that_became_one_are_named_by_readers_of_either_kind(tmp_path: Path) -> None:
    """Zeros over the end of a report and the beginning of a line of another kind lost that in silence."""
    path, previous, lines = tmp_path / "log.jsonl", checksum.START, []
    for number in range(6):
        kind = ("message", "closed")[number == 3]
        fields = {"reason": "done"} if kind == "closed" else {"level": "info", "text": "x"}
        line, previous = checksum.seal(encode(kind, float(number), fields), previous)
        lines.append(line)
    data = bytearray(b"".join(lines))
    end = len(b"".join(lines[:3]))
    data[end - 20 : end + 20] = bytes(40)
    path.write_bytes(data)
    for kind in ("message", "closed"):
        records, damage = read(path, kinds=(kind,))
        assert [each.line for each in damage] == [3]
        assert times(records) == ([0, 1, 4, 5] if kind == "message" else [])


def test_a_newer_format_is_refused(log: Path) -> None:
    with log.open("ab") as file:
        file.write(encode("opened", 99.0, {"format": 3}))
    with pytest.raises(NewerFormatError, match=r"format 3, this version reads up to 2: update"):
        read(log)


@settings(deadline=None)
@given(cut=st.integers(0, 2000), length=st.integers(0, 50), garbage=UNSEALED)
def test_whatever_is_overwritten_every_untouched_line_is_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int, length: int, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    lines = [message(number) for number in range(40)]
    data = b"".join(lines)
    path.write_bytes(data[:cut] + garbage + data[cut + length :])
    found = times(read(path)[0])
    start, untouched = 0, []
    for number, line in enumerate(lines):
        if start + len(line) <= cut or start > cut + length:
            untouched.append(number)
        start += len(line)
    assert set(untouched) <= set(found)
