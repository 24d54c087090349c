"""What SIGINT, SIGTERM and SIGHUP do while a study runs: the first ends it in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a study."""


@contextmanager
def interrupting(interrupt: Callable[[], None], note: Callable[[str], None]) -> Iterator[None]:
    """Call `interrupt` at the first signal and raise KeyboardInterrupt at the second, while this is entered.

    A signal that is ignored stays ignored (SIGHUP under nohup, SIGINT of a command started with `&`). Only
    the main thread can handle signals: elsewhere this does nothing.
    """
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        interrupt()
        note("stopping: finishing the current steps and saving checkpoints. Ctrl-C again stops immediately")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heeded = [number for number in NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
