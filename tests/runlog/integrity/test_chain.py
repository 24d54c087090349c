"""Checksums of the log's lines: every change of a line and every change of their order is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runlog import reader
from runlog.integrity import checksum
from runlog.integrity.chain import sum_before
from runlog.reader import Damage, read_batches
from runlog.records import FIELDS, Record, encode


def message(number: int) -> bytes:
    return encode("message", float(number), {"level": "info", "text": "x" * (number % 40)})


def chained(*lines: bytes, previous: bytes = checksum.START) -> list[bytes]:
    found = []
    for line in lines:
        sealed, previous = checksum.seal(line, previous)
        found.append(sealed)
    return found


def read(path: Path, lines: list[bytes], **options: object) -> tuple[list[float], list[str]]:
    path.write_bytes(b"".join(lines))
    damage: list[Damage] = []
    batches = read_batches(path, on_damage=damage.append, **options)  # type: ignore[arg-type]
    records: list[Record] = [record for batch in batches for record in batch]
    assert all("sum" not in record for record in records)
    return [record["time"] for record in records], list(map(str, damage))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reader, "_BLOCK_BYTES", 300)
    return tmp_path / "log.jsonl"


LINES = chained(*map(message, range(20)))


def test_sound_lines_are_read_without_a_word(log: Path) -> None:
    assert read(log, LINES) == (list(range(20)), [])


@pytest.mark.parametrize("place", [0, 7, 19])
def test_no_flipped_bit_of_a_line_is_read_and_all_others_are(log: Path, place: int) -> None:
    for index in range(len(LINES[place]) - 1):
        for bit in (1, 16):
            changed = bytearray(LINES[place])
            changed[index] ^= bit
            if changed[index] == 10:
                continue
            times, said = read(log, [*LINES[:place], bytes(changed), *LINES[place + 1 :]])
            assert times == [each for each in range(20) if each != place], (index, bit)
            assert len(said) == 1, (index, bit)
            assert f"line {place + 1} is damaged" in said[0]


@pytest.mark.parametrize("place", [0, 1, 7, 18])
def test_a_missing_line_is_said(log: Path, place: int) -> None:
    times, said = read(log, LINES[:place] + LINES[place + 1 :])
    assert times == [each for each in range(20) if each != place]
    assert said == [f"log.jsonl: records are missing or out of order before line {place + 1}"]


def test_lines_that_changed_places_or_stand_twice_are_said(log: Path) -> None:
    swapped = [*LINES[:3], LINES[4], LINES[3], *LINES[5:]]
    assert [text.split()[-1] for text in read(log, swapped)[1]] == ["4", "5", "6"]
    assert [text.split()[-1] for text in read(log, [*LINES[:3], *LINES[2:]])[1]] == ["4"]


def test_damage_to_a_kind_that_is_not_read_is_not_read_as_another(log: Path) -> None:
    lines = chained(message(0), encode("closed", 1.0, {"reason": "done"}), message(2))
    hidden = lines[1].replace(b'"event":"closed"', b'"event":"clozed"')
    assert read(log, [lines[0], hidden, lines[2]], kinds=("closed",)) == (
        [],
        ["log.jsonl line 2 is damaged and was skipped: " + repr(hidden[:60])],
    )


def test_lines_without_checksums_stand_at_the_beginning_only(log: Path) -> None:
    old = [message(each) for each in range(5)]
    assert read(log, [*old, *LINES]) == ([*range(5), *range(20)], [])
    times, said = read(log, [*old, *LINES, message(99)])
    assert times == [*range(5), *range(20)]
    assert len(said) == 1


def test_a_line_that_lost_its_checksum_is_no_older_version_s(log: Path) -> None:
    bare = checksum.unsealed(LINES[0][:-1]) + b"\n"
    times, said = read(log, [bare, *LINES[1:]])
    assert times == list(range(1, 20))
    assert len(said) == 1
    opened = encode("opened", 0.0, {**dict.fromkeys(FIELDS["opened"]), "format": 2, "time": 0.0})
    assert read(log, [opened])[0] == []


def test_reading_from_the_middle_checks_what_the_line_before_claims(log: Path) -> None:
    start = sum(map(len, LINES[:10]))
    assert read(log, LINES, start=start) == (list(range(10, 20)), [])
    bare = checksum.unsealed(LINES[10][:-1]) + b"\n"
    times, said = read(log, [*LINES[:10], bare, *LINES[11:]], start=start)
    assert times == list(range(11, 20))
    assert len(said) == 1


def test_the_checksum_before_a_place_is_the_last_line_s(log: Path) -> None:
    log.write_bytes(b"".join(LINES))
    assert sum_before(log, len(LINES[0])) == LINES[0][-11:-3]
    assert sum_before(log, 0) is None


def test_records_swallowed_by_an_overwritten_one_of_another_kind_are_said(log: Path) -> None:
    fields = {**dict.fromkeys(FIELDS["slot"]), "time": 0.0}
    lines = chained(
        *[encode("slot", 0.0, fields) if place % 3 == 0 else message(place) for place in range(12)]
    )
    data = bytearray(b"".join(lines))
    at = sum(map(len, lines[:4])) - 30
    data[at : at + 200] = bytes(200)
    times, said = read(log, [bytes(data)], kinds=("message",))
    assert len(times) < 8
    assert said


@pytest.mark.parametrize("end", [bytes(40), LINES[-1][:-1] + b'{"event":'], ids=["zeros", "no newline"])
def test_an_end_that_no_kill_leaves_is_said(log: Path, end: bytes) -> None:
    times, said = read(log, [*LINES[:-1], end])
    assert (times, said) == (
        list(range(19)),
        ["log.jsonl line 20 is damaged and was skipped: the end of the file is not as it was written"],
    )


def test_what_is_left_of_a_checksum_is_damage_in_the_first_line_too(log: Path) -> None:
    cut = LINES[0][: LINES[0].rindex(b'"sum":"') + len(b'"sum":"')]
    times, said = read(log, [cut + b'"}\n', *LINES[1:]])
    assert (times, len(said)) == (list(range(1, 20)), 1)


@pytest.mark.parametrize("value", ["x", "sixteen letters."])
def test_a_value_named_sum_of_a_version_without_checksums_is_no_checksum(log: Path, value: str) -> None:
    others = dict.fromkeys(sorted(FIELDS["asked"] - {"hyperparameters"}))
    fields = {**others, "time": 0.0, "hyperparameters": {"a": 1, "sum": value}}
    line = encode("asked", 0.0, fields)
    assert b',"sum":"' in line
    assert read(log, [line]) == ([0.0], [])


@settings(deadline=None)
@example(cut=62, length=0, garbage=b'"}\n', kinds=False)
@given(
    cut=st.integers(0, 2500), length=st.integers(0, 90), garbage=st.binary(max_size=90), kinds=st.booleans()
)
def test_invariant_12_whatever_is_overwritten_is_said_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, cut: int, length: int, garbage: bytes, kinds: bool
) -> None:
    data = b"".join(LINES)
    changed = data[:cut] + garbage + data[cut + length :]
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    times, said = read(path, [changed], **({"kinds": ("message",)} if kinds else {}))
    whole = changed[: changed.rfind(b"\n") + 1]
    assert said or data.startswith(whole)
    assert set(times) <= set(range(20))
