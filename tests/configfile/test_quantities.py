"""Durations and sizes, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configfile.quantities import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("0.5s", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "0s", "-1s", "10m5h", "1e3s", "10 minutes", "٣s", f"{'9' * 400}d"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("2 GB", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("1.5 kB", 1500),
        ("1 GiB", 2**30),
        ("7 B", 7),
        ("1 TB", 10**12),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "2", "GB", "0 GB", "-1 GB", "0.5 B", "2 gb", "1e3 B", "2 GB 1 MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="2 GB"):
        parse_size(text)


@given(st.floats(1e-9, 1e10))
def test_durations_come_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(1, 10**12))
def test_sizes_come_back_exactly(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes
