"""Files beside the log, read only where they are as the log says that they were written."""

from __future__ import annotations

from pathlib import Path

from runlog.integrity.written_files import WrittenFiles, read_files
from runlog.reader import NewerFormatError
from sweep.errors import RunDirError


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
    except NewerFormatError as error:
        raise RunDirError(str(error)) from error
    except OSError as error:
        raise RunDirError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not files.vouch_for(name, data):
        raise RunDirError(
            f"{path}: is damaged or was changed: it is not what the log recorded. "
            "Restore it, or move it away and run the study's own command again"
        )
    return data
