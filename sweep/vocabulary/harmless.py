"""What a program printed, such that a terminal shows it and obeys nothing in it but colours."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    (?P<colour> \x1b\[[0-9;:]*m )
    | (?P<order>                                        # moves, clears, sets a title, asks the terminal
        \x1b\[[0-?]*[\ -/]*[@-~]
        | \x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)
        | \x1b[\ -/]*[0-~]
      )
    | (?P<line> \r\n? )
    | (?P<other> [\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069] )
    """,
    re.VERBOSE,
)

_UNFINISHED = re.compile(r"(?:\r|\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)?)\Z")
"""What the next piece of text may continue."""

MAX_HELD = 4096
"""An order that is longer is none."""

RESET = "\x1b[0m"


class Harmless:
    """Takes text in pieces: an order to the terminal may be cut in two."""

    def __init__(self, *, colours: bool = True) -> None:
        self._colours = colours
        self._held = ""
        self._is_coloured = False

    def enter(self, text: str) -> str:
        """The next piece: orders are left out, a carriage return ends a line, other controls are spelled."""
        text, self._held = self._held + text, ""
        found = _UNFINISHED.search(text)
        if found is not None and len(found[0]) <= MAX_HELD:
            text, self._held = text[: found.start()], found[0]
        return _TOKEN.sub(self._shown, text)

    def end(self) -> str:
        """What was held back, and an end of its colours."""
        text, self._held = _TOKEN.sub(self._shown, self._held), ""
        return text + (RESET if self._is_coloured else "")

    def _shown(self, found: re.Match[str]) -> str:
        match found.lastgroup:
            case "colour" if self._colours:
                self._is_coloured = True
                return found[0]
            case "line":
                return "\n"
            case "other":
                return _spelled(found[0])
            case _:
                return ""


def plain(text: str) -> str:
    """A whole text without colours."""
    harmless = Harmless(colours=False)
    return harmless.enter(text) + harmless.end()


def _spelled(letter: str) -> str:
    """`^G` for a bell, as terminals spell controls."""
    number = ord(letter)
    if number < 0x80:
        return f"^{chr(number ^ 0x40)}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
