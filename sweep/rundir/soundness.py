"""What of a run directory is sound and what is not: all but Optuna's journal is read, nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runlog import layout
from runlog.checkpoints import CheckpointsState, KeptCheckpoint
from runlog.integrity import checksum, wholeness
from runlog.integrity.chain import sum_before
from runlog.reader import UnreadableLogError, read_batches, whole_bytes
from runlog.segments import parts_of
from runlog.study import StudyState
from sweep.errors import CheckpointError, RunDirError, SpecError, UnreadableCheckpointError
from sweep.rundir.checkpoints import read_chunks, unrecorded
from sweep.rundir.lock import holder
from sweep.rundir.naming import FOLDERS, check_log, copies, obstacle_of
from sweep.rundir.provenance import parse_provenance
from sweep.rundir.recorded_files import read_recorded
from sweep.spec.parse import parse

_TORN = "; a kill cut the line after them short"


@dataclass(frozen=True)
class Finding:
    """What a file is found to be; `path` is relative to the run directory.

    `is_read` is false for what is none of a run's files, `by_hand` true for what no repair can mend.
    """

    path: str
    sound: bool
    text: str
    is_read: bool = True
    by_hand: bool = False

    def __str__(self) -> str:
        word = "DAMAGED" if not self.sound else "sound" if self.is_read else "unread"
        return f"{word:<8} {self.path}: {self.text}"


@dataclass
class LogContent:
    """What the log says, as far as it can be read; `live` where another process writes it."""

    live: bool
    study: StudyState = field(default_factory=StudyState)
    checkpoints: CheckpointsState = field(default_factory=CheckpointsState)
    records: int = 0
    damage: list[str] = field(default_factory=list)


def read_log(run_dir: Path) -> LogContent:
    """Read every record. Raises RunDirError where there is no log, or one of a newer version."""
    log = run_dir / layout.LOG
    check_log(run_dir)
    content = LogContent(live=holder(run_dir / layout.LOCK) is not None)
    try:
        for batch in read_batches(log, on_damage=lambda each: content.damage.append(str(each))):
            content.records += len(batch)
            for record in batch:
                content.study.add(record)
                content.checkpoints.add(record)
    except UnreadableLogError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise RunDirError(f"{log}: cannot be read: {error.strerror or error}") from error
    return content


def examine(run_dir: Path, content: LogContent) -> list[Finding]:
    """One finding a file at least, in the order in which the files depend on each other."""
    return [
        *_log(run_dir, content),
        *_written(run_dir, layout.STUDY, content, _check_study),
        *_written(run_dir, layout.PROVENANCE, content, parse_provenance),
        *_parts(run_dir),
        *_trials(run_dir),
        *_checkpoints(run_dir, content),
        *_foreign(run_dir),
    ]


def _log(run_dir: Path, content: LogContent) -> Iterator[Finding]:
    log = run_dir / layout.LOG
    damage = [*content.damage, *wholeness.problems(run_dir)]
    for text in damage:
        said = text.removeprefix(layout.LOG).lstrip(": ")
        yield Finding(layout.LOG, False, said, by_hand=not whole_bytes(log))  # nothing is left to repair by
    if not damage:
        torn = log.stat().st_size > whole_bytes(log) and not content.live
        yield Finding(layout.LOG, True, f"{content.records} records{_TORN if torn else ''}")


def _written(
    run_dir: Path, name: str, content: LogContent, check: Callable[[Path, bytes], object]
) -> Iterator[Finding]:
    """A file that is written as a whole, and recorded."""
    files = content.study.files
    try:
        check(run_dir / name, _read(run_dir, name, content))
    except FileNotFoundError:
        if name in files.sums:
            yield Finding(name, False, "is not there")
    except (RunDirError, SpecError) as error:
        yield Finding(name, False, _about(run_dir / name, error))
    else:
        known = (
            "as the log recorded it" if name in files.sums else "can be read; format 1 has no checksum of it"
        )
        yield Finding(name, True, known)


def _read(run_dir: Path, name: str, content: LogContent) -> bytes:
    """What a file holds; a live writer may have written it after its log was read."""
    try:
        return read_recorded(run_dir, name, content.study.files)
    except RunDirError:
        if not content.live:
            raise
        return read_recorded(run_dir, name)


def _check_study(path: Path, data: bytes) -> None:
    parse(data.decode("utf-8", errors="replace"), file=str(path))


def _parts(run_dir: Path) -> Iterator[Finding]:
    from runlog.parquet import DamagedTableError, read_part

    folder, log = run_dir / layout.METRICS, run_dir / layout.LOG
    for part in parts_of(run_dir):
        name = f"{layout.METRICS}/{part.name}"
        if not part.is_checked:
            yield Finding(name, True, "format 1 has no checksum of it; its rows are read from the log")
            continue
        try:
            table = read_part(folder, part, log=log)
        except FileNotFoundError:  # a live writer merged it into another
            continue
        except (DamagedTableError, OSError) as error:
            yield Finding(name, False, f"{error}; its rows are read from the log")
        else:
            yield Finding(name, True, f"{table.num_rows} reports")


def _trials(run_dir: Path) -> Iterator[Finding]:
    from runlog import parquet

    log, path = run_dir / layout.LOG, run_dir / layout.TRIALS
    try:
        table = parquet.read(path)
        parquet.check_stamp(table)
    except FileNotFoundError:
        return
    except (parquet.DamagedTableError, OSError) as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else error
        yield Finding(path.name, False, f"{problem}; the trials are read from the log")
        return
    if not parquet.is_stamped(table):
        yield Finding(path.name, True, f"{table.num_rows} trials; format 1 has no checksum of them")
        return
    stop, own = parquet.made_from(table)
    if stop > whole_bytes(log):
        yield Finding(path.name, False, f"was made from {stop} bytes of the log, which has fewer")
    elif own.encode() != (sum_before(log, stop) or checksum.START):
        yield Finding(path.name, False, "was not made from this log; the trials are read from the log")
    else:
        yield Finding(path.name, True, f"{table.num_rows} trials")


def _checkpoints(run_dir: Path, content: LogContent) -> Iterator[Finding]:
    recorded = content.checkpoints.kept
    for path, each in recorded.items():
        if each.url is not None:
            yield Finding(path, True, f"lies in the store and was not read: {each.url}")
        elif (found := _checkpoint(run_dir, each, content.live)) is not None:
            yield found
    if not content.live:
        try:
            unknown = unrecorded(run_dir, {*recorded, *content.checkpoints.removed})
        except RunDirError as error:
            yield Finding(
                layout.CHECKPOINTS, False, _about(run_dir / layout.CHECKPOINTS, error), by_hand=True
            )
            return
        for snapshot in unknown:
            yield Finding(
                snapshot.path, True, "is not recorded: the writer was killed. It is recorded on resume"
            )


def _foreign(run_dir: Path) -> Iterator[Finding]:
    """What lies in a run's folders and is none of its files, or is where a folder belongs."""
    for name in FOLDERS:
        if (obstacle := obstacle_of(run_dir / name)) is not None:
            yield Finding(name, False, obstacle, by_hand=True)
    for path in copies(run_dir):
        text = "a copy, such as sync tools make where two computers wrote. Compare it, then delete it"
        yield Finding(path.relative_to(run_dir).as_posix(), True, text, is_read=False)


def _checkpoint(run_dir: Path, each: KeptCheckpoint, live: bool) -> Finding | None:
    """None where a live writer has removed it since its record was read."""
    path = each.snapshot.path
    try:
        for _ in read_chunks(run_dir, each.snapshot):
            pass
    except UnreadableCheckpointError as error:
        return Finding(path, False, _about(run_dir / path, error), by_hand=True)
    except CheckpointError as error:
        gone = each.size_on_disk(run_dir) is None
        if gone and live:
            return None
        return Finding(path, False, "is not there" if gone else _about(run_dir / path, error))
    return Finding(path, True, f"{each.snapshot.bytes} bytes")


def _about(path: Path, error: Exception) -> str:
    """An error's text without the path, in one line."""
    return " ".join(str(error).splitlines()).replace(f"{path}: ", "")
