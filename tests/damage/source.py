"""A run directory with one of everything: two sessions, reports, checkpoints, a journal, parts and tables."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

from sweep.rundir.rundir import RunDir
from sweep.spec.resolve import resolved_text
from tests.simulation.history import START, History
from tests.simulation.recipe import Recipe

RECIPE = Recipe(
    seed=1, trials=8, reports=5, programs=2, lanes=2, pruner="median", keep_best=3, raise_to=4, slots=2
)


def make(root: Path) -> Path:
    """The directory of a study that was simulated to its end; below `root`, which it changes alone.

    It is the same each time, so that a seed does the same damage again.
    """
    with (
        mock.patch.object(time, "time", return_value=START),
        mock.patch.object(os, "getpid", return_value=4711),
    ):
        return _made(root)


def _made(root: Path) -> Path:
    history = History(RECIPE, root)
    history.run()
    history.sessions = 2  # with the raised budget
    history.run()
    spec = history.spec()
    with RunDir.open(root, spec.name, clock=lambda: START + 100.0) as run:
        run.write_study(resolved_text(spec))
        run.write_provenance(task_hash="", hosts=["mac-1"], folder="/studies")
        run.close("finished")
        return run.path
