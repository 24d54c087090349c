"""At which line of Python a value changes: for finding who wrote into a buffer or drew from a generator.

A trace function looks at the watched values after every line that is executed, in any frame, so what is
watched must be small or already suspected.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line that was executed; `owner` is the first argument of its function, a method's self."""

    file: str
    number: int
    owner: Any = field(compare=False)

    @property
    def text(self) -> str:
        return linecache.getline(self.file, self.number).strip()


@contextmanager
def changes(watched: Mapping[str, Callable[[], bytes]]) -> Iterator[dict[str, list[Line]]]:
    """Give, by name, the innermost lines in which a watched value changed, each once, as the block runs."""
    found: dict[str, list[Line]] = {name: [] for name in watched}
    values = {name: read() for name, read in watched.items()}
    here = sys._getframe(2)  # past contextlib
    last = _line(here)

    def look(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal last
        for name, read in watched.items():
            value = read()
            if value != values[name]:
                values[name] = value
                if last not in found[name]:
                    found[name].append(last)
        caller = frame.f_back if event == "return" else frame
        last = _line(caller or frame)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield found
    finally:
        sys.settrace(before)


def _line(frame: FrameType) -> Line:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    owner = frame.f_locals.get(names[0]) if names else None
    return Line(frame.f_code.co_filename, frame.f_lineno, owner)
