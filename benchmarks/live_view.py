"""What the live view takes of the driver's time: a drawing in a terminal, as often as it is drawn."""

from __future__ import annotations

import os
import pty
import statistics
import sys
import threading
import time

from rich.console import Console

from benchmarks import measure
from sweep.driver.monitor.live_view import DRAW_EVERY_S, LiveView
from sweep.driver.monitor.progress import BestSoFar, StudyView
from sweep.vocabulary.trial import Scalar

BOUND = 0.01
"""At most this share of the driver's time."""

SHOWS_PER_S = 10
"""How often the driver shows its state; what comes too soon is not drawn."""


def seconds_each(width: int, drawings: int) -> tuple[float, float]:
    """Median processor seconds of a drawing, and of a view that is not drawn, in a terminal that is read."""
    ours, theirs = pty.openpty()
    threading.Thread(target=_drain, args=(ours,), daemon=True).start()
    with os.fdopen(theirs, "w") as terminal:
        shown = LiveView("digits", Console(file=terminal, width=width, force_terminal=True))
        drawn, skipped = [], []
        for number in range(drawings):
            view = _view(number)
            shown._drawn = 0.0
            drawn.append(_timed(shown, view))
            skipped.append(_timed(shown, view))
        shown.close()
    return statistics.median(drawn), statistics.median(skipped)


def _timed(shown: LiveView, view: StudyView) -> float:
    began = time.thread_time()
    shown.show(view)
    return time.thread_time() - began


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # how Linux says that the other side is closed
        os.close(terminal)


def _view(number: int) -> StudyView:
    params: dict[str, Scalar] = {
        "learning_rate": 0.0123,
        "optimizer": "adamw",
        "weight_decay": 1e-4,
        "hidden": 128,
    }
    ended = {"COMPLETE": number, "PRUNED": number // 3, "FAIL": number // 50}
    best = BestSoFar(number, 0.98, params)
    return StudyView(ended, 64, 10_000, 8, 64, 60, 8, 1.0 + number, 1e5, best)


def main() -> int:
    """Measure in a narrow and a wide terminal; return the exit code."""
    options = measure.arguments(__doc__.splitlines()[0] if __doc__ else "", drawings=300)
    benchmark = measure.Benchmark("The live view's share of the driver's time", packages=("rich",))
    for width in (60, 160):
        drawing_s, skipped_s = seconds_each(width, options.drawings)
        share = drawing_s / DRAW_EVERY_S + skipped_s * SHOWS_PER_S
        benchmark.enter({"columns": width, "drawing_ms": 1e3 * drawing_s, "share": share})
        benchmark.checks.append(measure.check(f"{width} columns: share of a second", share, bound=BOUND))
    return benchmark.finish(as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
