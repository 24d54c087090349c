"""What a person changes between two sessions: what a resume accepts, and the run directory itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

from sweep.api import retry as retrying
from sweep.api.keeping import remove as removing
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from tests.simulation.recipe import Edit, Recipe

if TYPE_CHECKING:
    from tests.simulation.history import History

NAME = "simulated"


def edit(history: History, change: Edit) -> None:
    """Change one thing; commands are refused where there is no run yet."""
    run_dir = history.root / NAME
    with suppress(RunDirError), _on_the_simulated_clock(history):
        match change.kind:
            case "retry":
                retrying.retry(run_dir)
            case "remove":
                removing.remove(run_dir, keep_best=change.pick % 2)
            case _:
                history.current = edited(history.current, change)


def edited(recipe: Recipe, change: Edit) -> Recipe:
    """The recipe with another line of its study file."""
    pick = change.pick
    match change.kind:
        case "budget":
            return replace(recipe, trials=recipe.trials + pick % 4 - 1 or 1)
        case "lanes":
            return replace(recipe, lanes=(1, 2, 4, "auto")[pick % 4])
        case "slots":
            slots = 1 + pick % 4
            return replace(recipe, slots=slots, hosts=min(recipe.hosts, slots))
        case "bounds":
            return replace(recipe, bounds=pick % 4)
        case "choices":
            return replace(recipe, programs=1 + pick % 3)
        case "entry":
            return replace(recipe, entry=True)
        case "fix":
            return replace(recipe, fixed=0 if recipe.fixed else 1 + pick % 2)
        case "concurrency":
            return replace(recipe, max_concurrent=("auto", 1, 3)[pick % 3])
        case _:
            return replace(recipe, keep_best=pick % 3, every_s=(0.5, 60.0)[pick % 2])


@contextmanager
def _on_the_simulated_clock(history: History) -> Iterator[None]:
    """Commands open the run directory by themselves; one seed decides their times, too."""
    held = SimpleNamespace(open=partial(RunDir.open, clock=history.wall))
    with mock.patch.object(retrying, "RunDir", held), mock.patch.object(removing, "RunDir", held):
        yield
