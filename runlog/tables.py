"""Metrics as an Arrow table, one row per report: from records, or from Parquet parts and the log's tail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from runlog import layout
from runlog.numbers import decode_number
from runlog.parquet import DamagedTableError, read_part
from runlog.reader import OnDamage, read_batches, whole_bytes
from runlog.records import Record
from runlog.report import Report
from runlog.segments import LogRange, Part, Segment, made_from, parts_of, segments

KEY = ("trial", "replicate", "examples")
"""What tells rows apart; of rows with equal keys the first counts."""

_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "str": pa.dictionary(pa.int32(), pa.string()),
    "time": pa.timestamp("us", tz="UTC"),
}


def report_columns(kind: type[Report] = Report) -> pa.Schema:
    """A column for each field of a report but the metrics; one with a default may be missing in old parts."""
    return pa.schema(
        [
            (each.name, _TYPES["time" if each.name == "time" else str(each.type).removesuffix(" | None")])
            for each in fields(kind)
            if each.name != "metrics"
        ]
    )


SCHEMA = report_columns()
"""Columns of the metrics table; a float64 column per metric follows."""

DEFAULTS = {each.name: each.default for each in fields(Report) if each.default is not MISSING}
"""What rows of older versions have in the columns that these did not know."""

_ATTEMPTS = 5

OnUnreadable = Callable[[str], None]


def metrics_table(reports: list[Record]) -> pa.Table:
    """Lay `report` records out as columns; a metric named as a column of SCHEMA gets `metric_` before it."""
    columns: dict[str, list[Any]] = {
        name: [decode_number(report.get(name, DEFAULTS[name])) for report in reports]
        if name in DEFAULTS
        else [report[name] for report in reports]
        for name in SCHEMA.names
    }
    columns["time"] = [round(seconds * 1e6) for seconds in columns["time"]]
    arrays = {field.name: pa.array(columns[field.name], field.type) for field in SCHEMA}
    for metric in dict.fromkeys(name for report in reports for name in report["metrics"]):
        values = [decode_number(report["metrics"].get(metric)) for report in reports]
        arrays[f"metric_{metric}" if metric in arrays else metric] = pa.array(values, pa.float64())
    return pa.table(arrays)


def read_reports(log: Path, part: LogRange, *, on_damage: OnDamage) -> pa.Table:
    """Read the rows of one range from the log itself."""
    kinds = ("report", "opened")  # the latter say where a newer version went on
    batches = read_batches(log, start=part.start, stop=part.stop, kinds=kinds, on_damage=on_damage)
    return concat(
        [metrics_table([record for record in batch if record["event"] == "report"]) for batch in batches]
    )


def concat(tables: list[pa.Table]) -> pa.Table:
    """Put tables of reports one below the other, with the columns of all; none give an empty table."""
    return pa.concat_tables([SCHEMA.empty_table(), *tables], promote_options="default").unify_dictionaries()


def read_segment(
    run_dir: Path, segment: Segment, *, on_damage: OnDamage, on_unreadable: OnUnreadable
) -> pa.Table:
    """Read the rows of one segment; a part that is damaged is named and its rows come from the log.

    Raises FileNotFoundError where the part has gone, merged into a longer one.
    """
    log, part = run_dir / layout.LOG, segment.part
    if part is not None:
        try:
            return _completed(read_part(run_dir / layout.METRICS, part, log=log))
        except DamagedTableError as error:
            on_unreadable(f"{part.name} is damaged ({error}): its rows come from the log")
    return read_reports(log, segment.range, on_damage=on_damage)


def read_metrics(
    run_dir: Path, *, on_damage: OnDamage, on_unreadable: OnUnreadable, log: bool = True
) -> pa.Table:
    """Read every report of a run directory in the log's order, beside its writer if need be.

    Without `log` (it is lost, or too new) only what Parquet parts hold; one that is damaged is named. With
    it, parts of versions without checksums are passed over: nothing tells a damaged one from a sound one.
    """

    def read_once() -> pa.Table:
        parts = parts_of(run_dir)
        if not log:
            return concat(_sound_parts(run_dir, parts, on_unreadable))
        own = made_from(run_dir / layout.LOG, parts)
        for part in parts:
            if part.is_checked and part not in own:
                on_unreadable(f"{part.name} was not made from this log: its rows come from the log")
        found = segments(own, whole_bytes(run_dir / layout.LOG))
        return concat(
            [read_segment(run_dir, each, on_damage=on_damage, on_unreadable=on_unreadable) for each in found]
        )

    for _ in range(_ATTEMPTS - 1):
        with suppress(FileNotFoundError):  # the writer merged parts since they were listed
            return read_once()
    return read_once()


def _completed(table: pa.Table) -> pa.Table:
    """A part with the columns that its version did not know. Raises DamagedTableError where it is no part."""
    for each in SCHEMA:
        if each.name in table.column_names:
            if table.schema.field(each.name).type != each.type:
                raise DamagedTableError(f"its column {each.name} is of another type")
        elif each.name in DEFAULTS:
            table = table.append_column(each, pa.array([DEFAULTS[each.name]] * len(table), each.type))
        else:
            raise DamagedTableError(f"it has no column {each.name}")
    return table


def _sound_parts(run_dir: Path, parts: list[Part], on_unreadable: OnUnreadable) -> list[pa.Table]:
    tables = []
    for segment in segments(parts, max((part.range.stop for part in parts), default=0)):
        if segment.part is not None:
            try:
                tables.append(_completed(read_part(run_dir / layout.METRICS, segment.part, log=None)))
            except DamagedTableError as error:
                name = segment.part.name
                on_unreadable(f"{name} is damaged ({error}), and there is no log to make it from")
    return tables
