"""Histories of one seed each, and faults of the past put back on purpose, which they must find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import pytest

from runlog.layout import CheckpointName
from sweep.executors import simulated_worker
from sweep.scheduler import endings
from sweep.vocabulary.turn import Load
from tests.simulation.__main__ import Batch, failure, play_batch
from tests.simulation.checks import play
from tests.simulation.recipe import Fault, Recipe
from tests.simulation.shrinking import shrink

SEEDS = 300


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_every_history_ends_well(start: int) -> None:
    batch = play_batch(start, start + 50)
    assert not batch.kinds, f"{dict(batch.kinds)}; python -m tests.simulation --start {start} --seeds 50"
    assert batch.transitions > 50


FOUND = (
    # A grid under Hyperband tried a point twice after a resume: its sampler saw the trials of one bracket.
    '{"seed":75,"trials":7,"reports":4,"programs":3,"sampler":"grid","pruner":"hyperband","max_concurrent":1,'
    '"raise_to":2,"deaths":[{"kind":"power","at":103,"share":0.1986110443746868}]}',
)
"""Histories that failed once, made smaller."""


@pytest.mark.parametrize("recipe", FOUND)
def test_what_was_found_stays_mended(recipe: str) -> None:
    play(Recipe.of_text(recipe))


def test_a_seed_decides_everything() -> None:
    for seed in (7, 8, 12):
        one, two = play(Recipe.of_seed(seed)), play(Recipe.of_seed(seed))
        assert (one.steps, one.transitions, one.ends) == (two.steps, two.transitions, two.ends)


def test_a_recipe_is_read_back_as_it_was_printed() -> None:
    for seed in range(100):
        recipe = Recipe.of_seed(seed)
        assert Recipe.of_text(recipe.as_text()) == recipe


def snapshots_are_not_found(patch: pytest.MonkeyPatch) -> None:
    """Fault 12: a worker looks a checkpoint up by the name without the folder that it is stored under."""

    def stands_at(load: Load) -> int:
        name = CheckpointName.parse(str(PurePath(load.checkpoint or "")))
        return name.examples if name is not None else 0

    patch.setattr(simulated_worker, "stands_at", stands_at)


def a_told_trial_keeps_its_lane(patch: pytest.MonkeyPatch) -> None:
    """A slip in how trials end."""
    patch.setattr(endings, "unqueue", lambda state, run: None)


def a_torn_line_is_not_cut_off(patch: pytest.MonkeyPatch) -> None:
    """The next record is appended to half a line."""
    patch.setattr("sweep.rundir.rundir.whole_bytes", lambda path: path.stat().st_size if path.exists() else 0)


BUGS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    snapshots_are_not_found,
    a_told_trial_keeps_its_lane,
    a_torn_line_is_not_cut_off,
)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_put_back_on_purpose_is_found(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        batches = (play_batch(start, start + 25) for start in range(0, SEEDS, 25))
        batch = next((each for each in batches if each.kinds), Batch())
    assert batch.kinds, "no history failed"


@pytest.mark.slow
def test_a_failing_recipe_is_made_smaller() -> None:
    with pytest.MonkeyPatch.context() as patch:
        snapshots_are_not_found(patch)
        found = next(recipe for recipe in map(Recipe.of_seed, range(SEEDS)) if failure(recipe) is not None)
        smaller = shrink(found, failure)
        assert failure(smaller) is not None
    assert len(smaller.as_text()) < len(found.as_text())
    assert len(smaller.faults) <= 2
    assert failure(smaller) is None, "without the bug it must end well"


def test_a_history_that_ends_by_no_fault_of_its_own_is_told_from_one_that_does() -> None:
    assert failure(Recipe(1, trials=2, reports=3, faults=(Fault("run", 2),))) is None
    assert failure(Recipe(1, trials=2, reports=3, faults=(Fault("worker", 2), Fault("node", 4)))) is None
