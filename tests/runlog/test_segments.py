from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.segments import LogRange, segments


def test_part_names_read_back() -> None:
    whole = LogRange(0, 4096)
    assert LogRange.parse(whole.part) == whole
    assert LogRange.parse("part-0-1.parquet.partial") is None


_RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: LogRange(*pair)))


@settings(deadline=None)
@given(parts=_RANGES, stop=st.integers(0, 40))
def test_invariant_9_each_byte_of_the_log_lies_in_exactly_one_segment(
    parts: list[LogRange], stop: int
) -> None:
    found = segments(parts, stop)
    covered = [byte for segment in found for byte in range(segment.range.start, segment.range.stop)]
    assert covered == list(range(stop))
    assert all(segment.range in parts for segment in found if segment.from_part)


def test_of_parts_from_one_place_the_longest_counts_and_holes_are_left_to_the_log() -> None:
    parts = [LogRange(0, 10), LogRange(0, 30), LogRange(10, 20), LogRange(40, 50), LogRange(50, 99)]
    assert segments(parts, 60) == [
        (LogRange(0, 30), True),
        (LogRange(30, 40), False),
        (LogRange(40, 50), True),
        (LogRange(50, 60), False),
    ]
