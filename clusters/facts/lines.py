"""Whole lines of an output, and what stands in them; pure.

A command that is ended at its deadline leaves an output that stops anywhere. So a line counts only with its
newline, and a fact that is not found is unknown: None, never a default.
"""

from __future__ import annotations

import re


def whole(text: str) -> str:
    """The text up to its last newline: what follows may be half a line. Ends of lines are plain."""
    return text[: text.rfind("\n") + 1].replace("\r\n", "\n")


def first(pattern: str, text: str) -> str | None:
    """The first group of the first match, each line by itself; None where there is none."""
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


def number(word: str | None) -> int | None:
    """A word of digits as a number; None for any other."""
    return int(word) if word is not None and re.fullmatch(r"\s*[0-9]+\s*", word) else None
