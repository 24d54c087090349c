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


def test_rows_of_other_names_are_a_table_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = Benchmark("Title", packages=())
    benchmark.enter({"ask of": "tpe", "ms": 0.5}, {"ask of": "random", "ms": 0.25}, {"seed": 0})
    assert benchmark.finish(as_json=False) == 0
    table = "ask of  ms\ntpe     0.5\nrandom  0.25\n\nseed\n0\n"
    assert table in capsys.readouterr().out
