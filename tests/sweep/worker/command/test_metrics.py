"""Reports in lines: JSON, and patterns in the orders that programs print in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from sweep.worker.command.lines import MAX_LINE, Lines
from sweep.worker.command.metrics import JsonLines, Patterns
from sweep.worker.command.output import MAX_BYTES, Output
from sweep.worker.single.function_report import ReportError

BOTH = {"loss": r"val ([\d.]+)", "examples": r"step (\d+)"}
WITH_TRAIN = {**BOTH, "train": r"train ([\d.]+)"}


def found(patterns: Mapping[str, str], lines: Iterable[str]) -> list[Mapping[str, Any]]:
    reading = Patterns(patterns, "loss")
    for line in lines:
        reading.line(line)
    reading.end()
    return list(reading.reports)


@pytest.mark.parametrize(
    "lines",
    [
        ["step 1 val 0.5", "step 2 val 0.25"],
        ["step 1", "val 0.5", "step 2", "val 0.25"],
        ["val 0.5", "step 1", "val 0.25", "step 2"],
        ["step 1 val 0.5", "step 1 val 0.5", "noise", "step 2 val 0.25"],
    ],
)
def test_count_and_metric_in_any_order(lines: list[str]) -> None:
    assert found(BOTH, lines) == [{"examples": 1, "loss": 0.5}, {"examples": 2, "loss": 0.25}]


def test_metrics_that_are_printed_more_or_less_often() -> None:
    lines = ["step 1 train 3", "step 2 train 2", "step 2 val 0.5", "step 3 train 1", "step 4 val 0.25"]
    reports = found(WITH_TRAIN, lines)
    assert reports == [
        {"examples": 2, "train": 2, "loss": 0.5},
        {"examples": 4, "train": 1, "loss": 0.25},
    ]


def test_without_a_count_the_last_value_is_the_result() -> None:
    reading = Patterns({"loss": "val (.+)"}, "loss")
    for line in ("val 2", "val 1"):
        reading.line(line)
    reading.end()
    assert (list(reading.reports), reading.result) == ([], {"loss": 1.0})


def test_json_that_is_no_report_is_none() -> None:
    reading = JsonLines("loss", needs_examples=True)
    for line in ('{"lr": 1}', "{not json}", "[1]", '{"a": {"examples": 1}}', '  {"examples": 1, "loss": 2}'):
        reading.line(line)
    assert list(reading.reports) == [{"examples": 1, "loss": 2}]
    with pytest.raises(ReportError, match="printed loss without `examples`"):
        reading.line('{"loss": 1}')


def test_a_report_that_is_too_long_is_no_silence() -> None:
    reading = JsonLines("loss", needs_examples=True)
    (long,) = Lines().enter(b'{"examples": 1, "loss": 2, "all": [' + b"0, " * 30_000 + b"0]}\n")
    with pytest.raises(ReportError, match="longer than 64 KiB"):
        reading.line(long)
    (other,) = Lines().enter(b'{"weights": [' + b"0, " * 30_000 + b"0]}\n")
    reading.line(other)
    assert not reading.reports


def test_lines_come_in_pieces_and_progress_bars_are_lines() -> None:
    lines = Lines()
    assert list(lines.enter(b"a\nb")) == ["a"]
    assert list(lines.enter(b"c\r50%\r\n")) == ["bc", "50%", ""]
    assert list(lines.enter("\N{SNOWMAN}".encode()[:1])) == []
    assert list(lines.enter("\N{SNOWMAN}".encode()[1:] + b"\n")) == ["\N{SNOWMAN}"]
    assert not lines.has_foreign
    assert list(lines.enter(b"\xff\n")) == ["\N{REPLACEMENT CHARACTER}"]
    assert lines.has_foreign


def test_colours_are_no_part_of_a_line() -> None:
    assert list(Lines().enter(b"\x1b[1;32m  4\x1b[0m  val \x1b[38;5;244m0.5\x1b[0m\n")) == ["  4  val 0.5"]


def test_a_line_without_end_is_cut() -> None:
    lines = Lines()
    (cut,) = (line for _ in range(10) for line in lines.enter(b"x" * MAX_LINE))
    assert len(cut) == MAX_LINE
    assert list(lines.enter(b"x\nnext\n")) == ["next"]


def test_of_much_output_both_ends_are_kept() -> None:
    output = Output()
    output.enter(b"first\n")
    for _ in range(100):
        output.enter(b"x" * MAX_BYTES)
    output.enter(b"\nlast\n")
    kept = output.take()
    assert kept.startswith(b"first\nxxx")
    assert kept.endswith(b"xxx\nlast\n")
    assert len(kept) < 2 * MAX_BYTES + 100
    left_out = int(kept.partition(b"\n[")[2].split()[0])
    assert left_out == 100 * MAX_BYTES + 12 - (
        len(kept) - kept.count(b"[") * len(f"\n[{left_out} bytes left out]\n")
    )
    assert output.take() == b""
    assert output.last_line() == "last"
