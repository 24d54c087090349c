"""Which form of progress fits where it is shown."""

from __future__ import annotations

import sys

from sweep.driver.monitor.progress import Lines, Progress


def progress_for(name: str) -> Progress:
    """A live view where stderr is a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        return Lines(name)
    from sweep.driver.monitor.live_view import LiveView

    return LiveView(name)
