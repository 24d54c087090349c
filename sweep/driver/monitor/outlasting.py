"""A view that may lose its terminal: a study does not end with the window that shows it."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from sweep.driver.monitor.progress import Progress, StudyView


class Outlasting:
    """Shows as another view does, for as long as the terminal is there.

    A window that is closed, or a connection that breaks, leaves a terminal that refuses all output. The same
    moment brings SIGHUP, which ends the study in order, or is ignored.
    """

    def __init__(self, view: Progress) -> None:
        self._view = view
        self._had_terminal = sys.stderr.isatty()
        self._is_gone = False

    def note(self, text: str) -> None:
        self._show(lambda: self._view.note(text))

    def tip(self, text: str) -> None:
        self._show(lambda: self._view.tip(text))

    def stage(self, text: str) -> None:
        self._show(lambda: self._view.stage(text))

    def show(self, view: StudyView) -> None:
        self._show(lambda: self._view.show(view))

    def close(self) -> None:
        self._show(self._view.close)

    def _show(self, act: Callable[[], None]) -> None:
        if self._is_gone:
            return
        try:
            act()
        except OSError as error:
            if not self._had_terminal or error.filename is not None or error.errno not in _GONE:
                raise
            self._is_gone = True


_GONE = (errno.EIO, errno.ENXIO)
"""What writing to a terminal that is gone raises."""
