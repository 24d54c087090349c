"""Play many histories of several studies on all cores; those that fail are printed, to be played again."""

from __future__ import annotations

import sys
import traceback

from tests.seeds import Tally, arguments, campaign
from tests.simulation.sharing.checks import play
from tests.simulation.sharing.history import Plan

BATCH = 50


def attempt(seed: int) -> tuple[str, str]:
    """How the history of a seed ends."""
    plan = Plan.of_seed(seed)
    try:
        play(plan)
    except Exception as error:
        return "failed", "".join(traceback.format_exception(error)[-2:])
    return ("with trouble" if plan.troubles else "quiet"), ""


def try_seeds(start: int, stop: int) -> Tally:
    ways = ("quiet", "with trouble", "failed")
    return Tally("histories of studies that share", ways).try_all(attempt, range(start, stop))


if __name__ == "__main__":
    told = arguments("tests.simulation.sharing", __doc__, "histories")
    sys.exit(campaign(told, try_seeds(0, 0), try_seeds, batch=BATCH))
