"""When a study asks no further trials, from how its trials ended."""

from __future__ import annotations

import math

import pytest

from sweep.driver.monitor.counters import Counters
from sweep.driver.stopping import Stopping
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState
from tests.sweep.conftest import STUDY

COMPLETE = TrialState.COMPLETE


def spec(stop: str, direction: str = "minimize") -> StudySpec:
    text = STUDY.replace("direction: minimize", f"direction: {direction}")
    return parse(f"{text}stop: {stop}\n", "study.yaml")


def reason(stop: str, *outcomes: Outcome, direction: str = "minimize") -> str | None:
    stopping = Stopping(spec(stop, direction))
    for outcome in outcomes:
        stopping.enter(outcome)
    return stopping.reason(0.0)


def ended(number: int, value: float, **constraints: float) -> Outcome:
    return Outcome(number, COMPLETE, (value,), constraints=constraints)


@pytest.mark.parametrize(
    ("direction", "unbounded", "finite", "target"),
    [("minimize", -math.inf, 0.547, 0.001), ("maximize", math.inf, 0.2, 0.9)],
)
def test_an_infinite_objective_reaches_no_target(
    direction: str, unbounded: float, finite: float, target: float
) -> None:
    outcomes = [ended(0, unbounded), ended(1, finite)]
    assert reason(f"{{target: {target}}}", *outcomes, direction=direction) is None
    reached = ended(2, target)
    assert "is reached" in str(reason(f"{{target: {target}}}", *outcomes, reached, direction=direction))


def test_a_trial_that_breaks_a_constraint_reaches_no_target() -> None:
    assert reason("{target: 0.1}", ended(0, 0.0, memory=1.0)) is None
    assert reason("{target: 0.1}", ended(0, 0.0, memory=-1.0)) is not None


def test_patience_counts_from_the_best_and_infinity_is_no_better() -> None:
    outcomes = [ended(0, 0.5), ended(1, -math.inf), ended(2, 0.5)]
    assert reason("{patience: 3}", *outcomes) is None
    assert reason("{patience: 2}", *outcomes) is not None


def test_the_live_view_shows_no_infinite_best() -> None:
    counters = Counters(spec("{}"))
    for outcome in (ended(0, -math.inf), ended(1, 0.5), ended(2, math.nan)):
        counters.ended(outcome, {})
    best = counters._best
    assert best is not None
    assert (best.number, best.value) == (1, 0.5)
