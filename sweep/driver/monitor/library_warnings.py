"""What Optuna and NumPy warn of while the driver proposes and judges, given on as a tip and not to stderr."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import Any


class LibraryWarnings:
    """Hands each text once to `say`: only of the thread, and of the time, in which `heard` is entered.

    The filters of `warnings` stay as they are: what is ignored stays so, what is an error is raised.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._thread: int | None = None
        self._said: set[str] = set()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Warnings and lines of Optuna's log come here first, while this is entered."""
        before, show = warnings.showwarning, self._showing(warnings.showwarning)
        handlers = list(logging.getLogger("optuna").handlers)
        warnings.showwarning = show
        for handler in handlers:
            handler.addFilter(self._passes)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(self._passes)
            if warnings.showwarning is show:
                warnings.showwarning = before

    @contextmanager
    def heard(self) -> Iterator[None]:
        """What this thread is warned of in here is given on."""
        self._thread = threading.get_ident()
        try:
            yield
        finally:
            self._thread = None

    def _showing(self, before: Callable[..., None]) -> Callable[..., None]:
        def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any) -> None:
            if threading.get_ident() != self._thread:
                before(message, category, filename, *rest)
            else:
                self._give_on(_package(filename), str(message))

        return show

    def _passes(self, record: logging.LogRecord) -> bool:
        if threading.get_ident() != self._thread:
            return True
        self._give_on("optuna", record.getMessage())
        return False

    def _give_on(self, who: str, text: str) -> None:
        line = f"{who} warns: {' '.join(text.split())}"
        if line not in self._said:
            self._said.add(line)
            self._say(line)


def _package(filename: str) -> str:
    """The package that a file belongs to; the file's name where it was not installed."""
    parts = PurePath(filename).parts
    with suppress(ValueError, IndexError):
        return parts[parts.index("site-packages") + 1]
    return PurePath(filename).name
