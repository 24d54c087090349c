"""Where an error of a task's code comes from: a line of its file, or of the cell it was written in.

Standard library only.
"""

from __future__ import annotations

import json
import sysconfig
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

LINES = ".lines"
"""Ends the name of a file that says which lines of a module were written where:
`[first, last, line, place]` of each definition, in JSON."""

_STANDARD = str(Path(sysconfig.get_paths()["stdlib"])) + "/"


def own_frame(trace: TracebackType | None, foreign: Sequence[str] = ()) -> traceback.FrameSummary | None:
    """The innermost frame that is no library's, nor of a file whose name has one of these parts in it."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    own = [frame for frame in own if not any(part in frame.filename for part in foreign)]
    return own[-1] if own else None


def in_cell(file: str, line: int) -> str | None:
    """Where a line of a file was written, such as "line 3 of the cell"; None where that is the file."""
    with suppress(OSError, ValueError):
        for first, last, written, place in json.loads(Path(file).with_suffix(LINES).read_text("utf-8")):
            if first <= line <= last:
                return f"line {written + line - first} of {place}"
    return None


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or filename.startswith(("<frozen", _STANDARD))
