"""Histories of one seed each, and faults of the past put back on purpose, which they must find."""

from __future__ import annotations

import math
from collections.abc import Container

import pytest
from optuna.trial import FrozenTrial, TrialState

from sweep.scheduler import State, in_order
from sweep.scheduler.messages import Instruction
from sweep.scheduler.population import together
from sweep.search.wrappers.in_order import InOrder
from tests.simulation.__main__ import Batch, failure, play_batch, show
from tests.simulation.checks import play
from tests.simulation.put_back import FAULTS, put_back
from tests.simulation.recipe import Fault, Recipe

SEEDS = 150


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, SEEDS, 50))
def test_every_history_ends_well(start: int) -> None:
    batch = play_batch(start, start + 50)
    assert not batch.kinds, f"{dict(batch.kinds)}; python -m tests.simulation --start {start} --seeds 50"
    assert batch.transitions > 50


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 45, 15))
def test_a_study_in_a_fixed_order_is_the_same_whatever_happens(start: int) -> None:
    """On any workers, with any delays and kills its trials are those of one worker with one lane."""
    for seed in range(start, start + 15):
        play(Recipe.in_order_of_seed(seed))


def _sees_all(
    self: InOrder, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
) -> list[FrozenTrial]:
    return self._behind.get_all_trials(study_id, deepcopy=deepcopy, states=states)


BROKEN = {
    "samplers see what has arrived": (InOrder, "get_all_trials", _sees_all),
    "trials are asked for at once": (State, "may_be_asked", property(lambda self: math.inf)),
    "verdicts wait for nobody": (in_order, "_is_compared", lambda state, trial: False),
}
"""What makes an order, left out on purpose."""


@pytest.mark.parametrize("part", BROKEN)
def test_each_part_of_a_fixed_order_is_needed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, instead = BROKEN[part]
    monkeypatch.setattr(owner, name, instead)
    kinds = (failure(Recipe.in_order_of_seed(seed)) for seed in range(60))
    assert next((kind for kind in kinds if kind is not None), None) is not None


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 40, 20))
def test_every_history_of_a_population_ends_well(start: int) -> None:
    for seed in range(start, start + 20):
        found = failure(Recipe.of_population(seed))
        assert found is None, f"{found}; Recipe.of_population({seed})"


@pytest.mark.parametrize("start", range(0, 40, 20))
def test_a_population_in_a_fixed_order_is_the_same_whatever_happens(start: int) -> None:
    for seed in range(start, start + 20):
        found = failure(Recipe.of_population_in_order(seed))
        assert found is None, f"{found}; Recipe.of_population_in_order({seed})"


def _ask_for_all(state: State, out: list[Instruction]) -> None:
    out += [state.standing.pop(number) for number in sorted(state.standing)]


def test_members_that_do_not_wait_for_each_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "settle", _ask_for_all)
    kinds = (failure(Recipe.of_population_in_order(seed)) for seed in range(60))
    assert next((kind for kind in kinds if kind is not None), None) is not None


FOUND = (
    # A grid under Hyperband tried a point twice after a resume: its sampler saw the trials of one bracket.
    '{"seed":75,"trials":7,"reports":4,"programs":3,"sampler":"grid","pruner":"hyperband","max_concurrent":1,'
    '"raise_to":2,"deaths":[{"kind":"power","at":103,"share":0.1986110443746868}]}',
    # Points of trials that Optuna's journal had lost were tried again: a grid of 5 points ran 8 trials.
    '{"seed":21473,"trials":4,"lanes":4,"sampler":"grid","keep_best":3,"raise_to":4,"deaths":[{"kind":"full",'
    '"at":29,"share":0.75}]}',
    # `sweep rm` of a run that was killed before its first session began ended in a traceback.
    '{"seed":280,"deaths":[{"kind":"kill","at":10,"share":0.96}],"edits":[{"kind":"remove","pick":2}]}',
    # A trial that ran while a grid was edited took up another of its points, which was then never tried.
    '{"seed":1436,"trials":2,"reports":4,"sampler":"grid","every_s":0.5,"raise_to":2,"deaths":[{"kind":"fsync",'
    '"at":91,"share":0.24578430687861663}],"edits":[{"kind":"bounds","pick":37}]}',
    # A run's retry resumed from a checkpoint that was deleted in favour of one beyond what the log has.
    '{"seed":3088,"trials":2,"replicates":3,"reports":3,"lanes":4,"keep_best":1,"every_s":0.5,"slots":2,'
    '"run_s":1.0,"faults":[{"kind":"run","at":12,"pick":38}],"deaths":[{"kind":"power","at":112,"share":'
    "0.013460487943134036}]}",
    # A member copied one that stood at the boundary on its way through the lineage that it had taken since.
    '{"seed":1652,"trials":4,"reports":6,"lanes":"auto","sampler":"pbt","max_concurrent":2,"every_s":0.5,'
    '"slots":2,"run_s":1.0,"transfer_s":0.1,"interval":1,"faults":[{"kind":"hang","at":3,"pick":4},{"kind":'
    '"worker","at":2,"pick":38},{"kind":"worker","at":10,"pick":37}],"deaths":[{"kind":"kill","at":104,'
    '"share":0.6803357101418597}]}',
    # A checkpoint that a later member copies was deleted while no member was live.
    '{"seed":1151,"trials":4,"reports":2,"sampler":"pbt","max_concurrent":1,"timeout_s":15.0,"every_s":5.0,'
    '"interval":1,"faults":[{"kind":"hang","at":9,"pick":45}]}',
    # Finals that a killed driver had received and not recorded were not the final ones.
    '{"seed":20584,"replicates":3,"keep_best":3,"deaths":[{"kind":"kill","at":57,"share":0.7884851646344864}],'
    '"requests":[{"verb":"prune","at":2,"pick":59}]}',
    # Fewer lanes were asked for while more were measured: the slot opened those, and was never filled.
    '{"seed":31230,"trials":5,"programs":2,"lanes":"auto","keep_best":1,"raise_to":4,"deaths":[{"kind":"power",'
    '"at":46,"share":0.06966923533517655}],"requests":[{"verb":"lanes","at":6,"pick":97}]}',
    # A trial that ran again for its final checkpoint resumed from one that had gone for a later one.
    '{"seed":31588,"trials":5,"reports":4,"keep_best":1,"every_s":0.5,"slots":4,"transfer_s":5.0,"retry":0,'
    '"faults":[{"kind":"node","at":18,"pick":55},{"kind":"error","at":3,"pick":53}],"deaths":[{"kind":"power",'
    '"at":108,"share":0.6190015720150182}],"requests":[{"verb":"budget","at":23,"pick":50}]}',
    # A power cut left checkpoints of a trial that the log no longer had, and its number was asked for again.
    '{"seed":33712,"trials":4,"replicates":3,"reports":4,"lanes":2,"keep_best":1,"run_s":0.01,"faults":'
    '[{"kind":"worker","at":23,"pick":45}],"deaths":[{"kind":"power","at":112,"share":0.19570813750606098}],'
    '"requests":[{"verb":"lanes","at":3,"pick":50}]}',
    # A trial that a person had pruned was killed before that was told, and completed in the next session.
    '{"seed":41595,"trials":4,"reports":3,"pruner":"hyperband","keep_best":3,"run_s":0.01,"transfer_s":5.0,'
    '"faults":[{"kind":"worker","at":16,"pick":85},{"kind":"corrupt","at":2,"pick":15}],"deaths":[{"kind":'
    '"kill","at":72,"share":0.1461004025505529}],"requests":[{"verb":"pause","at":6,"pick":64},{"verb":"prune",'
    '"at":17,"pick":29},{"verb":"tag","at":3,"pick":17},{"verb":"enqueue","at":8,"pick":7}]}',
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


FINDS = {"2": 4, "2-stop": 134, "12": 23, "kept-lane": 30, "torn-line": 3, "asked-again": 8}
"""A seed that finds each fault, to begin at; others follow, for when histories have changed."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_put_back_on_purpose_is_found_and_made_smaller(
    fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FINDS[fault]
    batches = (play_batch(start, start + 5, fault) for start in range(first, first + SEEDS, 5))
    batch = next((each for each in batches if each.kinds), Batch())
    assert batch.kinds, "no history failed"
    found = Recipe.of_seed(min(batch.failed.values()))
    with put_back(fault):
        smaller = show(found, fault)
        assert failure(smaller) is not None
    assert failure(smaller) is None, "without the fault it must end well"
    assert len(smaller.as_text()) < len(found.as_text())
    assert len(smaller.faults) <= 2
    assert (
        f"python -m tests.simulation --with-fault {fault} --replay '{smaller.as_text()}'"
        in capsys.readouterr().out
    )


def test_a_history_that_ends_by_no_fault_of_its_own_is_told_from_one_that_does() -> None:
    assert failure(Recipe(1, trials=2, reports=3, faults=(Fault("run", 2),))) is None
    assert failure(Recipe(1, trials=2, reports=3, faults=(Fault("worker", 2), Fault("node", 4)))) is None
