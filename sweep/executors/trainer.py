"""A thread that MLX lives in: its streams and compiled programs are a thread's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue
from typing import Any


class Trainer:
    """The thread in which a worker lives: calls are made there one after another, as they come."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="train", daemon=True).start()

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Make a call in that thread; the future has what it returns or raises."""
        future: Future[Any] = Future()
        self._calls.put((future, call))
        return future

    def _serve(self) -> None:
        while True:
            future, call = self._calls.get()
            try:
                future.set_result(call())
            except BaseException as error:  # raised where the answer is awaited
                future.set_exception(error)


@cache
def lasting_trainer() -> Trainer:
    """One for this process, which lasts as long: a thread that used MLX and ends while Python ends aborts it.

    MLX's own clean-up at a thread's end asks for Python's lock, which is then not given any more.
    """
    return Trainer()
