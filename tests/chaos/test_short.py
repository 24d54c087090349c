"""Some kills of the driver, in this test suite; `make chaos` is the long one, with workers and machines."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sweep.driver.steering import channel
from tests.chaos.harness import Study, describe, kill_drivers
from tests.chaos.population import check, population
from tests.chaos.tally import Tally, compare
from tests.logs import records
from tests.sweep.conftest import described_here as described_here
from tests.sweep.conftest import without_compiling as without_compiling
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
    kill_drivers(disturbed, description, random.Random(SEED), KILLS, tally, reports=5)
    disturbed.finish(description)
    compare(disturbed.run_dir, undisturbed.run_dir, tally, trials=TRIALS)
    assert tally.clean, tally


@pytest.mark.usefixtures("described_here")
def test_invariants_1_and_3_of_a_function_which_resumes_from_what_it_saved(tmp_path: Path) -> None:
    tally = Tally()
    disturbed = Study(tmp_path / "disturbed", trials=12, executor="inline", function=True)
    undisturbed = Study(tmp_path / "undisturbed", trials=12, executor="inline", function=True)
    run(undisturbed.folder)
    description = describe(disturbed)
    kill_drivers(disturbed, description, random.Random(SEED), 2, tally, reports=30)
    disturbed.finish(description)
    compare(disturbed.run_dir, undisturbed.run_dir, tally, trials=12)
    assert tally.clean, tally
    assert len(records(disturbed.run_dir, "checkpoint")) > 0


@pytest.mark.usefixtures("described_here")
def test_no_request_is_lost_or_done_twice_by_a_driver_that_is_killed_as_it_is_asked(tmp_path: Path) -> None:
    tally, chance, asked = Tally(), random.Random(SEED), list[channel.Request]()
    study = Study(tmp_path / "steered", trials=8, executor="inline", function=True)
    description = describe(study)

    def ask() -> None:
        trials = {record["trial"] for record in records(study.run_dir, "asked")}
        ended = {record["trial"] for record in records(study.run_dir, "told")}
        for number in sorted(trials - ended):
            asked.append(channel.submit(study.run_dir, "prune", {"trial": number}))
        asked.append(channel.submit(study.run_dir, "enqueue", {"learning_rate": 0.0125 + len(asked) / 1000}))
        asked.append(channel.submit(study.run_dir, "set", {"budget.trials": 10 + len(asked)}))

    kill_drivers(study, description, chance, 4, tally, reports=8, ask=ask)
    study.finish(description)
    answers = {record["id"]: record for record in records(study.run_dir, "request")}
    assert [record["id"] for record in records(study.run_dir, "request")] == [each.id for each in asked]
    told = {record["trial"]: record for record in records(study.run_dir, "told")}
    rates = [record["params"]["learning_rate"] for record in records(study.run_dir, "asked")]
    for request in asked:
        if request.verb == "prune" and answers[request.id]["accepted"]:
            assert told[request.arguments["trial"]]["reason"] == "pruned by hand"
        if request.verb == "enqueue":
            assert rates.count(request.arguments["learning_rate"]) == answers[request.id]["accepted"]
    assert len(told) == asked[-1].arguments["budget.trials"]
    assert channel.count(study.run_dir) == 0


@pytest.mark.usefixtures("described_here", "without_compiling")
def test_a_population_killed_again_and_again_loses_nothing_and_its_lineage_is_consistent(
    tmp_path: Path,
) -> None:
    tally, size = Tally(), {"members": 6, "epochs": 40}
    study = population(tmp_path / "population", executor="inline", **size)
    description = describe(study)
    kill_drivers(study, description, random.Random(SEED), 2, tally, reports=15)
    study.finish(description)
    check(study.run_dir, tally, **size)
    assert tally.clean, tally
