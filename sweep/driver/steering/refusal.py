"""Why a request is not done."""

from __future__ import annotations


class Refusal(Exception):
    """A request is refused; the text says why, and what to do, in one line."""
