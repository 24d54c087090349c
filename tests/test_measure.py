"""What benchmarks share."""

from __future__ import annotations

import json

import pytest

from benchmarks.measure import Benchmark, Ratio


def test_a_row_is_shown_as_soon_as_it_is_measured_and_again_in_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fault 34: a script that was ended before its end had shown nothing."""
    benchmark = Benchmark("Title", packages=())
    benchmark.enter({"model": "MLP", "ratio": Ratio(0.5, 1.0, 1.5)}, {"model": "CNN", "ratio": 2.0})
    shown = capsys.readouterr()
    rows = [
        {"model": "MLP", "ratio": {"low": 0.5, "median": 1.0, "high": 1.5}},
        {"model": "CNN", "ratio": 2.0},
    ]
    assert [json.loads(line) for line in shown.err.splitlines()] == rows
    assert shown.out == ""
    assert benchmark.finish(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == rows
