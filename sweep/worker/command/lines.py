"""Bytes as they come, cut into lines; a line that never ends takes no more memory than another."""

from __future__ import annotations

import re
from collections.abc import Iterator

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What terminals take for colours and movements; patterns look at what a person sees."""

MAX_LINE = 65536
"""What is longer is cut off there."""


class Lines:
    """Lines of one stream, without colours. Bytes that are no UTF-8 become the replacement character."""

    def __init__(self) -> None:
        self._open = b""
        self._skips = False
        self.has_foreign = False

    def enter(self, data: bytes) -> Iterator[str]:
        """The lines that these bytes complete; a carriage return ends one too, as progress bars have it."""
        *whole, rest = data.replace(b"\r", b"\n").split(b"\n")
        for part in whole:
            line, self._open = self._open + part, b""
            if not self._skips:
                yield self._text(line)
            self._skips = False
        self._open += rest
        if len(self._open) > MAX_LINE and not self._skips:
            yield self._text(self._open)
            self._skips = True
        if self._skips:
            self._open = b""

    def end(self) -> Iterator[str]:
        """The last line, where no line feed ends it."""
        if self._open and not self._skips:
            yield self._text(self._open)
        self._open = b""

    def _text(self, line: bytes) -> str:
        if len(line) > MAX_LINE:
            return line[:MAX_LINE].decode(errors="replace")  # a letter may be cut in two
        try:
            text = line.decode()
        except UnicodeDecodeError:
            self.has_foreign = True
            text = line.decode(errors="replace")
        return _COLOURS.sub("", text) if "\x1b" in text else text
