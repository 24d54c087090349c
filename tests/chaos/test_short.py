"""Some kills of the driver, in this test suite; `make chaos` is the long one, with workers and machines."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.harness import Study, describe, kill_drivers
from tests.chaos.tally import Tally, compare
from tests.logs import records
from tests.sweep.conftest import described_here as described_here
from tests.sweep.in_process import run

pytestmark = pytest.mark.slow

KILLS = 8
SEED = 0
TRIALS = 24


def test_invariants_1_and_3_a_study_killed_again_and_again_ends_with_the_undisturbed_tables(
    tmp_path: Path,
) -> None:
    tally = Tally()
    disturbed = Study(tmp_path / "disturbed", trials=TRIALS, executor="inline", lanes=2)
    undisturbed = Study(tmp_path / "undisturbed", trials=TRIALS, executor="inline")
    description = describe(disturbed)
    undisturbed.finish(description)
    kill_drivers(disturbed, description, random.Random(SEED), KILLS, tally)
    disturbed.finish(description)
    compare(disturbed.run_dir, undisturbed.run_dir, tally, trials=TRIALS)
    assert tally.kills["driver"] >= KILLS // 2
    assert tally.clean, tally


@pytest.mark.usefixtures("described_here")
def test_invariants_1_and_3_of_a_function_which_resumes_from_what_it_saved(tmp_path: Path) -> None:
    tally = Tally()
    disturbed = Study(tmp_path / "disturbed", trials=12, executor="inline", function=True)
    undisturbed = Study(tmp_path / "undisturbed", trials=12, executor="inline", function=True)
    run(undisturbed.folder)
    description = describe(disturbed)
    kill_drivers(disturbed, description, random.Random(SEED), 2, tally)
    disturbed.finish(description)
    compare(disturbed.run_dir, undisturbed.run_dir, tally, trials=12)
    assert tally.kills["driver"] == 2
    assert tally.clean, tally
    assert len(records(disturbed.run_dir, "checkpoint")) > 0
