"""What ends a session in order: SIGINT, SIGTERM, SIGHUP, another thread; a second signal ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a study."""


STOPPING = "stopping: finishing the current steps and saving checkpoints. Ctrl-C again stops immediately"


class Interrupter:
    """Asks a session in another thread to end in order, whether it has begun or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._interrupt: Callable[[], None] | None = None

    def attach(self, interrupt: Callable[[], None]) -> None:
        """This is what ends the session, from here on."""
        with self._lock:
            self._interrupt = interrupt
            if self._asked:
                interrupt()

    def interrupt(self) -> None:
        """Ask for an orderly end, once."""
        with self._lock:
            if not self._asked and self._interrupt is not None:
                self._interrupt()
            self._asked = True


@contextmanager
def interrupting(
    interrupt: Callable[[], None],
    note: Callable[[str], None],
    *,
    at_once: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Call `interrupt` at the first signal and raise KeyboardInterrupt at the second, while this is entered.

    Where `at_once` holds, the first signal raises it, too: there is nothing to save that is worth a wait.
    A terminal that is closed can send SIGHUP twice: it is never a second signal.
    A signal that is ignored stays ignored (SIGHUP under nohup, SIGINT of a command started with `&`). Only
    the main thread can handle signals: elsewhere this does nothing.
    """
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen and number == signal.SIGHUP:
            return  # a terminal that is closed sends it from the shell, and once more from the system
        seen += 1
        if seen > 1:
            raise KeyboardInterrupt
        ends_at_once = at_once()
        interrupt()
        if ends_at_once:
            raise KeyboardInterrupt
        with suppress(RuntimeError):  # it came in the midst of a print that waits for a slow terminal
            note(
                "stopping: finishing the current steps and saving checkpoints. Ctrl-C again stops immediately"
            )

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
