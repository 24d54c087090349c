"""A report as a record and as a table's row, and what a new field of it touches."""

from __future__ import annotations

import ast
import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from runlog import records, tables
from runlog.records import FIELDS, encode, is_record
from runlog.report import Report, RunId
from runlog.snapshot import Snapshot
from sweep.rundir.tables import refresh_metrics
from tests.run_dirs import ask, begin, open_run, report

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class WiderReport(Report):
    """A report of a version to come: one field more."""

    gradient_norm: float = 0.5
    optimizer_state: str = "none"


@dataclass(frozen=True)
class WiderSnapshot(Snapshot):
    compressed: bool = False


def parsed(value: Report) -> records.Record:
    fields = value.as_fields()
    record: records.Record = json.loads(encode("report", fields.pop("time"), fields))
    return record


def test_a_report_reads_back_from_its_record() -> None:
    value = report(3, 200, metrics={"loss": math.inf, "float": 1.0})
    record = parsed(value)
    assert is_record(record)
    assert Report.of(record) == value
    assert value.run == RunId(3, 0)


def test_a_new_field_makes_no_older_record_damaged_and_has_its_default_there() -> None:
    older = parsed(report(3, 200))
    assert WiderReport.of(older) == WiderReport(**vars(report(3, 200)))
    assert records._required(WiderReport) == records._required(Report)
    assert records._required(WiderSnapshot) == records._required(Snapshot)


def test_a_new_field_is_written_and_older_versions_pass_it_over() -> None:
    newer = WiderReport(**vars(report(3, 200)), gradient_norm=math.nan)
    record = parsed(newer)
    assert is_record(record)
    assert Report.of(record) == report(3, 200)
    assert math.isnan(WiderReport.of(record).gradient_norm)


def test_a_new_field_is_a_column_with_its_default_in_older_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.record_reports([report(0, 100)])
        run.commit()
        refresh_metrics(run.path, stop=(run.path / "log.jsonl").stat().st_size)
        monkeypatch.setattr(tables, "SCHEMA", tables.report_columns(WiderReport))
        monkeypatch.setattr(tables, "DEFAULTS", {"gradient_norm": 0.5, "optimizer_state": "none"})
        run.record_reports([report(0, 200), WiderReport(**vars(report(0, 300)), gradient_norm=2.0)])
        run.commit()
        table = tables.read_metrics(run.path, on_damage=_refuse, on_unreadable=_refuse)
    assert table["examples"].to_pylist() == [100, 200, 300]
    assert table["gradient_norm"].to_pylist() == [0.5, 0.5, 2.0]
    assert table["optimizer_state"].to_pylist() == ["none"] * 3


@pytest.mark.slow
def test_no_other_source_names_all_fields_of_a_report() -> None:
    """What names most of them would have to change with each new one; a constructor's call is the third."""
    names = set(FIELDS["report"]) - {"metrics", "time"}
    found = []
    for package in ("sweep", "runlog", "analysis"):
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            words |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
            if names <= words:
                found.append(path.relative_to(ROOT).as_posix())
    makers = ("sweep/worker/", "sweep/executors/", "sweep/api/python/asking/said.py")
    assert [path for path in found if not path.startswith(makers)] == []


def _refuse(text: object) -> None:
    raise AssertionError(text)
