import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlog.layout import CheckpointName, Span, cover


def test_checkpoint_names_read_back_and_look_as_documented() -> None:
    name = CheckpointName(12, 0, 12800)
    assert name.path == "checkpoints/trial-00012/replicate-0/examples-000012800.safetensors"
    assert CheckpointName.parse(name.path) == name
    assert CheckpointName.parse(CheckpointName(123456, 10, 10**10).path) == (123456, 10, 10**10)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "log.jsonl",
        "/checkpoints/trial-00012/replicate-0/examples-000012800.safetensors",
        "checkpoints/trial-00012/../../examples-000012800.safetensors",
        "../checkpoints/trial-00012/replicate-0/examples-000012800.safetensors",
        "checkpoints/trial-00012/replicate-0/examples-000012800.safetensors\n",
    ],
)
def test_no_other_path_is_a_checkpoint(path: str) -> None:
    assert CheckpointName.parse(path) is None


def test_part_names_read_back() -> None:
    span = Span(0, 4096)
    assert Span.parse(span.part) == span
    assert Span.parse("part-0-1.parquet.partial") is None


_SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: Span(*pair)))


@settings(deadline=None)
@given(parts=_SPANS, stop=st.integers(0, 40))
def test_invariant_9_each_byte_of_the_log_lies_in_exactly_one_piece(parts: list[Span], stop: int) -> None:
    pieces = cover(parts, stop)
    covered = [byte for piece in pieces for byte in range(piece.span.start, piece.span.stop)]
    assert covered == list(range(stop))
    assert all(piece.span in parts for piece in pieces if piece.from_part)


def test_of_parts_from_one_place_the_longest_counts_and_holes_are_left_to_the_log() -> None:
    parts = [Span(0, 10), Span(0, 30), Span(10, 20), Span(40, 50), Span(50, 99)]
    assert cover(parts, 60) == [
        (Span(0, 30), True),
        (Span(30, 40), False),
        (Span(40, 50), True),
        (Span(50, 60), False),
    ]
