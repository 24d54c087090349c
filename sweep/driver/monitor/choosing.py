"""Which form of progress fits where it is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from sweep.driver.monitor.notebook_view import NotebookView, is_in_a_notebook
from sweep.driver.monitor.progress import Lines, Progress

OF_A_KERNEL: Mapping[str, str] = {"TERM": "xterm-color", "PAGER": "cat", "GIT_PAGER": "cat"}
"""What a notebook's kernel sets for the commands of its cells."""


def progress_for(name: str) -> Progress:
    """A live view in a terminal or a notebook, plain lines elsewhere.

    A command of a notebook's cell, `!sweep run`, has a terminal that keeps every redrawing: it gets lines.
    """
    if is_in_a_notebook():
        return NotebookView(name)
    if not sys.stderr.isatty() or is_run_by_a_kernel(os.environ):
        return Lines(name)
    from sweep.driver.monitor.live_view import LiveView

    return LiveView(name)


def is_run_by_a_kernel(environment: Mapping[str, str]) -> bool:
    """Whether a notebook's kernel has started this process."""
    return OF_A_KERNEL.items() <= environment.items()
