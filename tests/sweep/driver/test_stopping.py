"""When a study asks no further trials, from how its trials ended."""

from __future__ import annotations

import math
import os

import pytest

from sweep.driver.monitor.counters import Counters
from sweep.driver.stopping import Stopping
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState
from tests.sweep.conftest import STUDY, Folder
from tests.sweep.in_process import run

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


def broken(number: int, *, diverged: bool = False) -> Outcome:
    return Outcome(number, TrialState.FAIL, reason="no such volume\nTraceback", diverged=diverged)


def test_failures_in_a_row_stop_a_study_before_they_spend_its_budget() -> None:
    nine = [broken(number) for number in range(9)]
    assert reason("{}", *nine) is None
    why = "10 trials in a row failed (stop.failures), the last: no such volume"
    assert reason("{}", *nine, broken(9)) == why
    assert reason("{}", *nine, ended(9, 0.5), broken(10)) is None
    assert reason("{failures: 2}", broken(0), broken(1, diverged=True), broken(2)) is None
    assert reason("{failures: null}", *nine, *nine) is None


def test_a_resumed_study_counts_failures_anew() -> None:
    stopping = Stopping(spec("{failures: 2}"))
    for number in range(2):
        stopping.enter(broken(number))
    stopping.begin_session()
    stopping.enter(broken(2))
    assert stopping.reason(0.0) is None
    stopping.enter(broken(3))
    assert stopping.reason(0.0) is not None


@pytest.mark.usefixtures("uncompiled")
def test_a_short_outage_leaves_most_of_the_budget(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What trials need goes away after the first look and comes back: the same command resumes."""
    folder.write(("budget: {trials: 4}", "budget: {trials: 12}\nstop: {failures: 3}"))
    task = folder.path / "line.py"
    gone = 'if os.environ.get("OUTAGE") == str(os.getpid()):\n            raise OSError("no such volume")'
    task.write_text(task.read_text().replace("time.sleep(slow)", f"{gone}\n        time.sleep(slow)"))
    monkeypatch.setenv("OUTAGE", str(os.getpid()))
    failed = run(folder).counts["FAIL"]
    assert 3 <= failed < 8
    monkeypatch.delenv("OUTAGE")
    counts = run(folder).counts
    assert (counts["FAIL"], counts["COMPLETE"]) == (failed, 12 - failed)


def test_the_live_view_shows_no_infinite_best() -> None:
    counters = Counters(spec("{}"))
    for outcome in (ended(0, -math.inf), ended(1, 0.5), ended(2, math.nan)):
        counters.ended(outcome, {})
    best = counters._best
    assert best is not None
    assert (best.number, best.value) == (1, 0.5)
