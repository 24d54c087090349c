"""A step on a log scale: every proposal is a step, drawn by its logarithm, and Optuna has the same value."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from sweep.search.space import grid
from sweep.search.study import Study
from sweep.spec.conditions import steps, to_step
from sweep.spec.schema import FloatRange, IntRange
from sweep.vocabulary.trial import Length, Outcome, TrialState
from tests.sweep.search.specs import with_sampler
from tests.sweep.spec.minimal import spec_of

ENTRIES = ("a: {low: 8, high: 1024, step: 8, log: true}", "b: {low: 0.05, high: 10.0, step: 0.05, log: true}")


@pytest.mark.parametrize("name", ["random", "tpe", "cmaes"])
def test_each_proposal_is_a_step_and_small_ones_are_frequent(name: str, tmp_path: Path) -> None:
    pytest.importorskip("cmaes", reason="pip install 'sweep-mlx[samplers]'")
    spec = with_sampler(spec_of(*ENTRIES), name)
    study = Study(spec, tmp_path / "journal", Length(100, 10))
    found = []
    for _ in range(40):
        (proposal,) = study.ask(1)
        found.append(dict(proposal.params))
        study.tell(Outcome(proposal.number, TrialState.COMPLETE, (0.0,)))
    a, b = (spec.space[key] for key in "ab")
    assert isinstance(a, IntRange)
    assert isinstance(b, FloatRange)
    assert {each["a"] for each in found} <= set(steps(a))
    assert {each["b"] for each in found} <= set(steps(b))
    assert [trial.params for trial in study.storage.trials()] == found
    if name == "random":
        assert median(int(each["a"] or 0) for each in found) < 250
    study.storage.close()


def test_few_steps_are_each_tried_once() -> None:
    study = Study(
        with_sampler(spec_of("a: {low: 8, high: 64, step: 8, log: true}"), "tpe"), None, Length(9, 1)
    )
    found = []
    while proposals := study.ask(1):
        found.append(proposals[0].params["a"])
        study.tell(Outcome(proposals[0].number, TrialState.COMPLETE, (0.0,)))
    assert sorted(map(int, found)) == list(range(8, 65, 8))  # type: ignore[arg-type]


def test_the_grid_lists_them() -> None:
    entry = "a: {low: 0.1, high: 0.3, step: 0.1, log: true}"
    assert grid(with_sampler(spec_of(entry), "grid")) == {"a": [0.1, 0.2, 0.3]}


def test_the_nearest_step_is_rounded_once() -> None:
    entry = FloatRange(low=0.1, high=0.5, step=0.1, log=True)
    assert [to_step(entry, value) for value in (0.1, 0.2999, 0.31, 0.5)] == [0.1, 0.3, 0.3, 0.5]
