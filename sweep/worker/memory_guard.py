"""Ends work that takes more memory than a worker may, before the whole machine suffers.

Linux may kill any process in that case, a Mac swaps until nothing moves. A thread watches the process's
memory. Above the limit it first frees what is merely cached. If that is not enough it raises MemoryError in
the guarded thread, which gets it with its next Python instruction. Above HARD times the limit the process
ends itself, and its trials resume elsewhere.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HARD = 1.5
EVERY_S = 0.1


class OverLimitError(MemoryError):
    """Raised in the guarded thread."""


class MemoryGuard:
    """Watches this process while `watching` is entered; `limit_bytes` None watches nothing.

    `used` says how many bytes are in use now, `reclaim` frees what is cached; both are called from another
    thread. `whose` they are stands in the message.
    """

    def __init__(
        self,
        limit_bytes: float | None,
        used: Callable[[], int],
        reclaim: Callable[[], None] = lambda: None,
        *,
        whose: str = "the worker's process",
    ) -> None:
        self._limit = limit_bytes
        self._used = used
        self._reclaim = reclaim
        self._whose = whose
        self._watched: int | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.found: int | None = None
        if limit_bytes is not None:
            threading.Thread(target=self._watch, name="memory guard", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Guard the calling thread for as long as the block runs; what is raised in it leaves the block."""
        self.found = None
        with self._lock:
            self._watched = threading.get_ident()
        try:
            yield
        finally:
            with self._lock:
                self._watched = None
            _take_what_was_raised()

    def explain(self) -> str:
        """What was found and what to do."""
        return (
            f"out of memory: {self._whose} took {(self.found or 0) / 1e9:.2f} GB of the "
            f"{(self._limit or 0) / 1e9:.2f} GB that it may use. Make the model, its micro-batch or its data "
            "smaller, or give workers more: worker: {memory: ...} in the study file"
        )

    def _watch(self) -> None:
        assert self._limit is not None
        while not self._closed.wait(EVERY_S):
            if self._used() <= self._limit:
                continue
            self._reclaim()
            used = self._used()
            if used <= self._limit:
                continue
            with self._lock:
                if self._watched is not None and self.found is None:
                    self.found = used
                    _raise_in(self._watched, OverLimitError)
                elif self._watched is not None and used > HARD * self._limit:
                    print(self.explain(), file=sys.stderr, flush=True)
                    os._exit(1)


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Have an error raised in a thread.

    It must get there: CPython 3.11 has a mark for all threads that only the raising takes away. With the mark
    left behind every call of a function is slower, and one that a debugger traces never begins.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def _take_what_was_raised() -> None:
    """Be called: that is where Python raises what another thread has asked for."""
