"""Files beside the log: read only where they are as the log says they were written, or made again from it."""

from __future__ import annotations

from pathlib import Path

from runlog import layout
from runlog.integrity.written_files import WrittenFiles, read_files
from runlog.reader import BYTE_ORDER_MARK, UnreadableLogError, is_converted
from sweep.errors import RunDirError
from sweep.rundir.disk import replace_file
from sweep.rundir.lock import WriterLock
from sweep.rundir.provenance import encoded, with_entry


def read_recorded(run_dir: Path, name: str, files: WrittenFiles | None = None) -> bytes:
    """The bytes of study.yaml or provenance.json; `files` is what the log says, read where it is not given.

    Raises FileNotFoundError, and RunDirError where it holds something else. A file that no record vouches
    for, of a version without them, is read as it is.
    """
    path = run_dir / name
    try:
        data = path.read_bytes()
        files = files if files is not None else read_files(run_dir)
    except FileNotFoundError:
        raise
    except UnreadableLogError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise RunDirError(
            f"{path}: cannot be read: {error.strerror or error}. Make it readable, "
            f"or restore it: python -m sweep verify {run_dir} --repair"
        ) from error
    if not files.vouch_for(name, data):
        raise RunDirError(
            f"{path}: is damaged or was changed: it is not what the log recorded. "
            f"Restore it: python -m sweep verify {run_dir} --repair. "
            "Or move it away and run the study's own command again"
        )
    return data


def rebuilt(name: str, files: WrittenFiles) -> bytes | None:
    """What a file held when it was last written; None where the log does not hold it, as in format 1.

    What comes is that, byte for byte.
    """
    contents = files.contents.get(name, [])
    if not contents:
        return None
    data = contents[-1].encode("utf-8") if name == layout.STUDY else _provenance(contents)
    return data if files.is_last(name, data) else None


def _provenance(entries: list[dict[str, object]]) -> bytes:
    """The entries of all sessions, one after another."""
    found = None
    for entry in entries:
        found = with_entry(found, entry)
    assert found is not None
    return encoded(found)


def restore_converted(run_dir: Path) -> bool:
    """Give a log that was converted as text its bytes back; whether it was.

    Raises RunDirError where another process writes there, or the disk refuses.
    """
    log = run_dir / layout.LOG
    try:
        if not log.is_file() or not is_converted(log):
            return False
        data = log.read_bytes()
    except OSError as error:
        raise RunDirError(f"{log}: cannot be read: {error.strerror or error}") from error
    lock = WriterLock(run_dir / layout.LOCK)
    try:
        # No line of JSON holds the end of one: what was put there is all that is taken away.
        replace_file(log, data.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\n"))
    finally:
        lock.release()
    return True
