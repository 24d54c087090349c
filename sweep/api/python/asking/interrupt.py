"""Ctrl-C while an owner drives the study: it comes once that is done, and at the second time at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back() -> Iterator[list[int]]:
    """Let a block end before SIGINT does what it does; the list is empty until there is one.

    A driver that is left in the middle of a step has forgotten what it was told.
    """
    before = signal.getsignal(signal.SIGINT)
    heard: list[int] = []
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield heard  # signals are ignored, end the process, or come to another thread
        return

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            before(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        before(heard[0], None)
