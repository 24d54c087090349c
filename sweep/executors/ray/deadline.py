"""A deadline for Ray's calls that have none: where its head is gone they wait until Ray ends the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

CALL_S = 10.0
"""How long such a call may take."""


def call_with_timeout(call: Callable[[], Any], *, late: Callable[[Any], None] | None = None) -> Any:
    """What `call` returns; raises its error, or TimeoutError: then `late` gets the value once it comes."""
    answer: Future[Any] = Future()

    def carry_out() -> None:
        try:
            value = call()
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(value)

    threading.Thread(target=carry_out, name="call of Ray's head", daemon=True).start()
    try:
        return answer.result(CALL_S)
    except TimeoutError:
        if late is not None:
            answer.add_done_callback(lambda done: None if done.exception() else late(done.result()))
        raise TimeoutError(f"Ray's head has not answered for {CALL_S:g} s") from None
