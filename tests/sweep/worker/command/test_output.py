"""What is kept of a program's output, and what a message shows of it."""

from __future__ import annotations

from sweep.worker.command.output import Output


def test_a_message_has_no_escape_sequence_of_the_program() -> None:
    output, printed = Output(), b"\x1b]0;title\x07\x1b[31mfirst\x1b[0m\nValueError: \x1b[1mno\x1b[0m\x07\n"
    output.enter(printed)
    assert output.last_line() == "ValueError: no^G"
    assert output.beginning() == output.ending() == "  | first\n  | ValueError: no^G"
    assert output.take() == printed
