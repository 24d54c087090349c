"""A study whose trials a program trains, steered from outside of it."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import sweep
from sweep.errors import SweepError
from sweep.rundir.history import read_history
from tests.processes import wait_until


def opened(budget: int = 3) -> sweep.Study:
    return sweep.Study(
        name="mine",
        space={"x": sweep.float(0.0, 1.0)},
        objective="loss",
        direction="minimize",
        budget=budget,
        sampler="random",
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    gc.collect()
    return tmp_path / "runs" / "mine"


def test_each_verb_reaches_a_program_or_says_why_not(run: Path) -> None:
    with opened() as study:
        first = study.ask()
        assert first is not None
        with pytest.raises(SweepError, match="trial 0 has no report yet"):
            sweep.finish(run, 0)
        first.report(10, loss=0.5)
        assert sweep.finish(run, 0).answer == "trial 0 ends as COMPLETE"
        first.report(20, loss=0.25)
        wait_until(first.should_prune)
        assert study.tell(first, 9.0) == "COMPLETE"
        assert sweep.enqueue(run, {"x": 0.125}).answered
        second = study.ask()
        assert second is not None
        assert second.params == {"x": 0.125}
        sweep.prune(run, 1)
        assert second.should_prune()
        assert study.tell(second, 1.0) == "PRUNED"
        assert sweep.set(run, {"budget.trials": 4}).answer == "budget.trials: 3 -> 4"
        for refused in (sweep.pause, sweep.stop):
            with pytest.raises(SweepError, match="a Python program trains the trials of this study"):
                refused(run)
        third = study.ask()
        assert third is not None
        study.tell(third, 3.0)
    with opened() as study:
        last = study.ask()
        assert last is not None
        study.tell(last, 4.0)
        assert study.ask() is None
    told = read_history(run).told
    assert [told[number].values for number in sorted(told)] == [(0.25,), None, (3.0,), (4.0,)]
    assert told[0].reason == "finished by hand"


def test_which_checkpoints_are_kept_is_set_while_a_program_trains(run: Path) -> None:
    """The process that trains reads what the one that holds the run has written down."""

    def trained(study: sweep.Study, loss: float) -> int:
        trial = study.ask()
        assert trial is not None
        trial.save(loss=loss)
        trial.report(10, loss=loss)
        study.tell(trial)
        return trial.number

    def kept() -> set[int]:
        return {row.trial for row in read_history(run).checkpoints.values() if row.final}

    with opened(budget=4) as study:
        assert trained(study, 0.5) == 0
        sweep.set(run, {"checkpoints.keep_best": 0})
        wait_until(lambda: not kept())
        assert trained(study, 0.25) == 1
        assert kept() == set()
        sweep.set(run, {"checkpoints.keep_best": 3})
        assert trained(study, 0.125) == 2
        wait_until(lambda: kept() == {2})
    with opened(budget=4) as study:  # what was set holds when the study is opened again, too
        assert trained(study, 0.0625) == 3
        wait_until(lambda: kept() == {2, 3})
