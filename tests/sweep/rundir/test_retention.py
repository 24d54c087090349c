import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.rundir.retention import superseded
from sweep.vocabulary.trial import Outcome, Snapshot, TrialState


def checkpoint(
    number: int, examples: int, *, final: bool = False, replicate: int = 0, size: int = 10
) -> Snapshot:
    return Snapshot(number, replicate, examples, f"{number}/{replicate}/{examples}", size, "", final)


def told(**values: float | None) -> dict[int, Outcome]:
    return {
        int(name[1:]): Outcome(int(name[1:]), TrialState.PRUNED)
        if value is None
        else Outcome(int(name[1:]), TrialState.COMPLETE, (value,))
        for name, value in values.items()
    }


def deleted(checkpoints: list[Snapshot], **options: object) -> list[str]:
    defaults = {"told": {}, "directions": ["maximize"], "keep_best": 2}
    return [each.path for each in superseded(checkpoints, **{**defaults, **options})]  # type: ignore[arg-type]


def test_of_an_unfinished_run_the_last_stays() -> None:
    checkpoints = [
        checkpoint(0, 100),
        checkpoint(0, 300),
        checkpoint(0, 200),
        checkpoint(0, 100, replicate=1),
    ]
    assert deleted(checkpoints) == ["0/0/100", "0/0/200"]


def test_of_finished_trials_the_final_ones_of_the_best_stay() -> None:
    checkpoints = [checkpoint(number, 300, final=True) for number in range(4)] + [checkpoint(2, 100)]
    trials = told(t0=0.1, t1=0.4, t2=0.3, t3=0.2)
    assert deleted(checkpoints, told=trials) == ["0/0/300", "3/0/300", "2/0/100"]
    assert deleted(checkpoints, told=trials, directions=["minimize"]) == ["1/0/300", "2/0/300", "2/0/100"]
    assert len(deleted(checkpoints, told=trials, keep_best=0)) == 5


def test_pruned_trials_and_values_that_are_not_numbers_keep_nothing() -> None:
    checkpoints = [checkpoint(number, 300, final=True) for number in range(3)]
    assert deleted(checkpoints, told=told(t0=None, t1=math.nan, t2=0.5)) == ["0/0/300", "1/0/300"]


def test_with_several_objectives_the_pareto_front_comes_first() -> None:
    checkpoints = [checkpoint(number, 300, final=True) for number in range(3)]
    values = {0: (1.0, 1.0), 1: (3.0, 1.0), 2: (1.0, 3.0)}
    trials = {number: Outcome(number, TrialState.COMPLETE, pair) for number, pair in values.items()}
    assert deleted(checkpoints, told=trials, directions=["maximize", "maximize"]) == ["0/0/300"]


def test_over_the_budget_the_worst_of_the_best_goes_whole_and_the_unfinished_never() -> None:
    checkpoints = [
        checkpoint(0, 300, final=True),
        checkpoint(1, 300, final=True),
        checkpoint(1, 300, final=True, replicate=1),
        checkpoint(2, 100, size=100),
    ]
    trials = told(t0=0.9, t1=0.5)
    assert deleted(checkpoints, told=trials, max_bytes=130) == []
    assert deleted(checkpoints, told=trials, max_bytes=129) == ["1/1/300", "1/0/300"]
    assert deleted(checkpoints, told=trials, max_bytes=1) == ["1/1/300", "1/0/300", "0/0/300"]


_CHECKPOINTS = st.lists(
    st.builds(
        checkpoint, st.integers(0, 5), st.integers(1, 5), final=st.booleans(), replicate=st.integers(0, 1)
    ),
    unique_by=lambda each: each.path,
)


@pytest.mark.slow
@settings(deadline=None)
@given(
    _CHECKPOINTS, st.dictionaries(st.integers(0, 5), st.floats(0, 1)), st.integers(0, 3), st.integers(0, 99)
)
def test_deciding_again_after_deleting_deletes_nothing_and_no_unfinished_run_loses_its_last(
    checkpoints: list[Snapshot], values: dict[int, float], keep_best: int, max_bytes: int
) -> None:
    trials = {number: Outcome(number, TrialState.COMPLETE, (value,)) for number, value in values.items()}

    def decide(given_: list[Snapshot]) -> list[Snapshot]:
        return superseded(
            given_, told=trials, directions=["maximize"], keep_best=keep_best, max_bytes=max_bytes
        )

    gone = decide(checkpoints)
    assert len(gone) == len(set(gone))
    kept = [each for each in checkpoints if each not in gone]
    assert decide(kept) == []
    unfinished = {each.run for each in checkpoints if each.trial not in trials}
    assert {each.run for each in kept if each.trial not in trials} == unfinished


def test_a_checkpoint_of_the_best_report_stays_beside_the_final_one_where_it_is_kept() -> None:
    best = Snapshot(0, 0, 100, "best", 10, "", False, 0.1)
    final = Snapshot(0, 0, 300, "final", 10, "", True)
    trials, options = told(t0=0.1), {"directions": ["minimize"], "keep_best": 1, "keep_best_report": True}
    assert deleted([best, final], told=trials, **options) == []
    assert deleted([best, final], told=trials, **{**options, "keep_best": 0}) == ["best", "final"]
