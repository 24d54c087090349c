"""What programs print, shown by a terminal that obeys nothing in it but colours."""

from __future__ import annotations

import pytest

from sweep.vocabulary.harmless import Harmless, plain

SHOWN = {
    "plain text\n\tand a tab\n": "plain text\n\tand a tab\n",
    "\x1b[1;31mred\x1b[0m": "\x1b[1;31mred\x1b[0m\x1b[0m",
    "\x1b[38:2::1:2:3mfine": "\x1b[38:2::1:2:3mfine\x1b[0m",
    "\x1b[2J\x1b[Hcleared": "cleared",
    "up\x1b[1A\x1b[2K\x1b[?25l": "up",
    "\x1b]0;a title\x07text": "text",
    "\x1b]52;c;Y2xpcGJvYXJk\x1b\\text": "text",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x1bcreset\x1b7\x1b(B": "reset",
    "10%\r20%\rdone\r\n": "10%\n20%\ndone\n",
    "bell\x07 back\x08 nul\x00 del\x7f": "bell^G back^H nul^@ del^?",
    "one\x9b2Jtwo": "one\\x9b2Jtwo",
    "\u202eevil": "\\u202eevil",
    "\x1b]never ended\nnext": "never ended\nnext",
    "\x1b\nnext": "^[\nnext",
    "ends \x1b[3": "ends 3",
    "naïve 🙂 e\u0301": "naïve 🙂 e\u0301",
}


@pytest.mark.parametrize("text", SHOWN)
def test_a_terminal_obeys_nothing_but_colours(text: str) -> None:
    harmless = Harmless()
    assert harmless.enter(text) + harmless.end() == SHOWN[text]


@pytest.mark.parametrize("text", SHOWN)
def test_in_pieces_it_is_the_same(text: str) -> None:
    harmless = Harmless()
    assert "".join(map(harmless.enter, text)) + harmless.end() == SHOWN[text]


def test_an_order_that_never_ends_is_text() -> None:
    harmless = Harmless()
    assert harmless.enter("\x1b]" + "x" * 10_000) == "x" * 10_000


def test_a_message_has_no_colours() -> None:
    assert plain("\x1b[31mValueError\x1b[0m: \x1b]0;t\x07no\x07") == "ValueError: no^G"
