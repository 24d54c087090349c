"""Parquet derived from the log: metrics in parts, merged as they grow, and the table of trials at the end.

Everything here can be deleted and is written again from the log; pyarrow is loaded on first use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog import layout
from runlog.segments import LogRange, Segment, segments
from runlog.study import read_study, trial_columns
from sweep.rundir.disk import disk_errors, publish

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"


def _ignore(_: object) -> None:
    """Damage is named when the run directory is opened; deriving tables does not repeat it."""


def covered_bytes(run_dir: Path) -> int:
    """Count the bytes of the log, from its start on, that sound parts hold."""
    position = 0
    for segment in segments(_sound_parts(run_dir), (run_dir / layout.LOG).stat().st_size):
        if not segment.from_part:
            break
        position = segment.range.stop
    return position


def refresh_metrics(run_dir: Path, *, stop: int, compact: bool = False) -> None:
    """Bring the parts up to byte `stop` of the log: one more part, what is missing or damaged made good.

    The new part takes in those before it that are at most twice as long, so that a log of n bytes has at
    most log2(n) parts; with `compact`, all of them. Raises RunDirError where the disk refuses.
    """
    from runlog.tables import concat, part_ranges, read_segment

    with disk_errors(run_dir / layout.METRICS):
        found = segments(_sound_parts(run_dir), stop)
        first = 0 if compact else _first_to_merge(found)
        if len(found) - first > 1 or any(not segment.from_part for segment in found):
            tables = [
                read_segment(run_dir, segment, on_damage=_ignore, on_unreadable=_ignore)
                for segment in found[first:]
            ]
            range_ = LogRange(found[first].range.start, stop)
            _write(run_dir / layout.METRICS / range_.part, concat(tables))
            found = [*found[:first], Segment(range_, from_part=True)]
        current = {segment.range for segment in found}
        for replaced in set(part_ranges(run_dir / layout.METRICS)) - current:
            (run_dir / layout.METRICS / replaced.part).unlink(missing_ok=True)


def write_trials(run_dir: Path) -> None:
    """Write trials.parquet from the log. Raises RunDirError where the disk refuses."""
    import pyarrow as pa

    columns = trial_columns(read_study(run_dir, on_damage=_ignore))
    with disk_errors(run_dir / layout.TRIALS):
        table = pa.table({name: _array(name, values) for name, values in columns.items()})
        _write(run_dir / layout.TRIALS, table)


def _first_to_merge(found: list[Segment]) -> int:
    """Index of the first segment that the next part takes in; from the first hole on, all."""
    first = next((index for index, segment in enumerate(found) if not segment.from_part), len(found))
    length = sum(segment.range.length for segment in found[first:])
    while first > 0 and found[first - 1].range.length <= 2 * length:
        first -= 1
        length += found[first].range.length
    return first


def _sound_parts(run_dir: Path) -> list[LogRange]:
    directory = run_dir / layout.METRICS
    ranges = {path: LogRange.parse(path.name) for path in directory.glob("part-*.parquet")}
    return sorted(each for path, each in ranges.items() if each is not None and _looks_whole(path))


def _looks_whole(path: Path) -> bool:
    """Whether a file begins and ends as Parquet does; what is wrong inside shows when it is read."""
    with path.open("rb") as file:
        head = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - 4))
        return size > 12 and head == _MAGIC and file.read() == _MAGIC


def _write(path: Path, table: pa.Table) -> None:
    import pyarrow.parquet as pq

    temporary = path.with_name(path.name + ".partial")
    pq.write_table(table, temporary, compression="zstd")
    publish(temporary, path)


def _array(name: str, values: list[Any]) -> pa.Array:
    """Make a column; parameters of several types (choices such as 1 and "auto") become their JSON text."""
    import pyarrow as pa

    known = {
        "datetime_start": pa.timestamp("us", tz="UTC"),
        "datetime_complete": pa.timestamp("us", tz="UTC"),
        "duration": pa.duration("us"),
        "value": pa.float64(),
        "reason": pa.string(),
    }
    kind = pa.float64() if name.startswith("values_") else known.get(name)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else json.dumps(value) for value in values])
