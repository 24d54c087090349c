"""What is kept of a program's output: all of a little, both ends of much."""

from __future__ import annotations

from sweep.vocabulary.harmless import plain

MAX_BYTES = 131072
"""How much of each end is kept between two turns."""

MARGIN = "  | "
"""What stands before a line of output in a message."""

SHOWN_BYTES = 600
"""How much of its beginning, or of its end, a message shows."""


class Output:
    """Takes both streams, in the order that they come in."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        self._first = b""
        self._last = b""

    def enter(self, data: bytes) -> None:
        """What has just been printed."""
        self.enter_own(data)
        if len(self._first) < SHOWN_BYTES:
            self._first += data[: SHOWN_BYTES - len(self._first)]
        self._last = (self._last + data[-SHOWN_BYTES:])[-SHOWN_BYTES:]

    def enter_own(self, data: bytes) -> None:
        """Words of ours between what is printed: kept with it, and never shown as the program's."""
        room = MAX_BYTES - len(self._head) if not self._tail and not self._left_out else 0
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * MAX_BYTES:
            self._drop()

    def take(self) -> bytes:
        """What was printed since the last time; where that is much, its middle is left out and said so."""
        if len(self._tail) > MAX_BYTES:
            self._drop()
        gap = f"\n[{self._left_out} bytes left out]\n".encode() if self._left_out else b""
        found = bytes(self._head) + gap + bytes(self._tail)
        self._head.clear()
        self._tail.clear()
        self._left_out = 0
        return found

    def beginning(self) -> str:
        """Its first lines, for a message."""
        return _shown(self._first, len(self._first) >= SHOWN_BYTES, at_end=True)

    def ending(self) -> str:
        """Its last lines, for a message."""
        return _shown(self._last, len(self._last) >= SHOWN_BYTES, at_end=False)

    def last_line(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in plain(self._last.decode(errors="replace")).splitlines()]
        return next((line for line in reversed(lines) if line), "")[-200:]

    def _drop(self) -> None:
        gone = len(self._tail) - MAX_BYTES
        del self._tail[:gone]
        self._left_out += gone


def _shown(data: bytes, is_cut: bool, *, at_end: bool) -> str:
    lines = plain(data.decode(errors="replace")).splitlines()
    if is_cut and len(lines) > 1:
        lines = lines[:-1] if at_end else lines[1:]
    return "\n".join(f"{MARGIN}{line[:200]}" for line in lines)
