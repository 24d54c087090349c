import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.segments import LogRange, Part, segments

CHECKED = Part(LogRange(0, 4096), "0123abcd", "89ef4567")


def part(start: int, stop: int) -> Part:
    return Part(LogRange(start, stop), "00000000", "00000000")


def test_part_names_read_back() -> None:
    assert CHECKED.name == "part-000000000000000-000000000004096-0123abcd-89ef4567.parquet"
    assert Part.parse(CHECKED.name) == CHECKED
    older = Part(LogRange(0, 4096))
    assert Part.parse("part-000000000000000-000000000004096.parquet") == older
    assert (CHECKED.is_checked, older.is_checked) == (True, False)
    assert Part.parse("part-0-1.parquet.partial") is None


_PARTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: part(*pair)))


@pytest.mark.slow
@settings(deadline=None)
@given(parts=_PARTS, stop=st.integers(0, 40))
def test_invariant_9_each_byte_of_the_log_lies_in_one_segment(parts: list[Part], stop: int) -> None:
    found = segments(parts, stop)
    covered = [byte for segment in found for byte in range(segment.range.start, segment.range.stop)]
    assert covered == list(range(stop))
    used = [segment for segment in found if segment.part is not None]
    assert all(segment.part in parts and segment.part.range == segment.range for segment in used)


def test_of_parts_from_one_place_the_longest_counts_and_holes_are_left_to_the_log() -> None:
    parts = [part(0, 10), part(0, 30), part(10, 20), part(40, 50), part(50, 99)]
    assert segments(parts, 60) == [
        (LogRange(0, 30), part(0, 30)),
        (LogRange(30, 40), None),
        (LogRange(40, 50), part(40, 50)),
        (LogRange(50, 60), None),
    ]
