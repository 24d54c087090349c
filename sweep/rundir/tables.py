"""Parquet derived from the log: metrics in parts, merged as they grow, and the table of trials at the end.

Everything here can be deleted and is written again from the log; pyarrow is loaded on first use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlog import layout
from runlog.integrity import checksum
from runlog.integrity.chain import sum_before
from runlog.reader import whole_bytes
from runlog.segments import LogRange, Part, Segment, made_from, parts_of, segments
from runlog.study import read_study, trial_columns
from sweep.rundir.disk import disk_errors, publish, set_aside

if TYPE_CHECKING:
    import pyarrow as pa

ANOTHER_LOG = "it was not made from this log, which was changed or cut short since"
A_FOLDER = "it is a folder, where a file belongs"


def _ignore(_: object) -> None:
    """Damage is named when the run directory is opened; deriving tables does not repeat it."""


def covered_bytes(run_dir: Path) -> int:
    """Count the bytes of the log, from its start on, that parts with checksums hold."""
    position = 0
    log = run_dir / layout.LOG
    for segment in segments(made_from(log, parts_of(run_dir)), whole_bytes(log)):
        if segment.part is None:
            break
        position = segment.range.stop
    return position


def remove_damaged(run_dir: Path) -> list[str]:
    """Remove the parts that are not as they were written: they are made again from the log; says which.

    Folders by the names of tables are set aside.
    """
    said = []
    for part in _checked(run_dir):
        path = run_dir / layout.METRICS / part.name
        if path.is_dir():
            said.append(set_aside(run_dir, f"{layout.METRICS}/{part.name}", A_FOLDER))
            continue
        with disk_errors(path):
            if not _is_as_written(path, part.file_sum):
                path.unlink()
                said.append(f"{part.name} is damaged and is made again from the log")
    if (run_dir / layout.TRIALS).is_dir():
        said.append(set_aside(run_dir, layout.TRIALS, A_FOLDER))
    return said


def _is_as_written(path: Path, file_sum: str | None) -> bool:
    try:
        return checksum.of_file(path.read_bytes()) == file_sum
    except OSError:  # the disk cannot read it
        return False


def refresh_metrics(run_dir: Path, *, stop: int, compact: bool = False) -> list[str]:
    """Bring the parts up to byte `stop` of the log: one more part, what is missing or damaged made good.

    The new part takes in those before it that are at most twice as long, so that a log of n bytes has at
    most log2(n) parts; with `compact`, all of them. Gives what it found damaged. Raises RunDirError where
    the disk refuses.
    """
    from runlog.tables import concat, read_segment

    said: list[str] = []
    folder = run_dir / layout.METRICS
    with disk_errors(folder):
        own = made_from(run_dir / layout.LOG, parts_of(run_dir))
        found = segments(own, stop)
        first = 0 if compact else _first_to_merge(found)
        if len(found) - first > 1 or any(segment.part is None for segment in found):
            tables = [
                read_segment(run_dir, segment, on_damage=_ignore, on_unreadable=said.append)
                for segment in found[first:]
            ]
            made = _write_part(run_dir, LogRange(found[first].range.start, stop), concat(tables))
            found = [*found[:first], Segment(made.range, made)]
        current = {segment.part for segment in found}
        for replaced in sorted(set(parts_of(run_dir)) - current):
            if replaced.is_checked and replaced not in own:  # it may hold rows that the log has lost
                said.append(set_aside(run_dir, f"{layout.METRICS}/{replaced.name}", ANOTHER_LOG))
            else:
                (folder / replaced.name).unlink(missing_ok=True)
    return said


def write_trials(run_dir: Path) -> list[str]:
    """Write trials.parquet from the log; says where one of another log was set aside.

    Raises RunDirError where the disk refuses.
    """
    import pyarrow as pa

    from runlog import parquet

    log, path = run_dir / layout.LOG, run_dir / layout.TRIALS
    with disk_errors(path):
        stop = whole_bytes(log)
        columns = trial_columns(read_study(run_dir, on_damage=_ignore))
        table = pa.table({name: _array(name, values) for name, values in columns.items()})
        temporary = path.with_name(path.name + ".partial")
        parquet.write(temporary, parquet.stamped(table, LogRange(0, stop), sum_before(log, stop)))
        found = parquet.stamp(path)
        said = []
        if found is not None and not made_from(log, [Part(LogRange(0, found[0]), found[1], found[1])]):
            said.append(set_aside(run_dir, layout.TRIALS, ANOTHER_LOG))
        publish(temporary, path)
    return said


def _write_part(run_dir: Path, log_range: LogRange, table: pa.Table) -> Part:
    from runlog import parquet

    folder = run_dir / layout.METRICS
    temporary = folder / f"part-{log_range.start:015d}-{log_range.stop:015d}.parquet.partial"
    parquet.write(temporary, table)
    part = parquet.made_part(temporary, run_dir / layout.LOG, log_range)
    publish(temporary, folder / part.name)
    return part


def _first_to_merge(found: list[Segment]) -> int:
    """Index of the first segment that the next part takes in; from the first hole on, all."""
    first = next((index for index, segment in enumerate(found) if segment.part is None), len(found))
    length = sum(segment.range.length for segment in found[first:])
    while first > 0 and found[first - 1].range.length <= 2 * length:
        first -= 1
        length += found[first].range.length
    return first


def _checked(run_dir: Path) -> list[Part]:
    return [part for part in parts_of(run_dir) if part.is_checked]


def _array(name: str, values: list[Any]) -> pa.Array:
    """Make a column; parameters of several types (choices such as 1 and "auto") become their JSON text."""
    import pyarrow as pa

    known = {
        "datetime_start": pa.timestamp("us", tz="UTC"),
        "datetime_complete": pa.timestamp("us", tz="UTC"),
        "duration": pa.duration("us"),
        "value": pa.float64(),
        "reason": pa.string(),
        "tags": pa.string(),
        "note": pa.string(),
    }
    kind = pa.float64() if name.startswith("values_") else known.get(name)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else json.dumps(value) for value in values])
