"""A logger fed with all that a run directory's log holds, as the thread of a study feeds it."""

from __future__ import annotations

import math
from pathlib import Path

from sweep.driver.loggers import choosing
from sweep.driver.loggers.following import Following
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState
from tests.run_dirs import ask, begin, open_run, outcome, report
from tests.sweep.conftest import STUDY


def spec_for(logger: str) -> StudySpec:
    """A study whose objective is that of `tests.run_dirs`; `logger` as a study file has it."""
    text = STUDY.replace("name: line", "name: study").replace("validation_loss", "accuracy")
    return parse(text.replace("minimize", "maximize") + f"loggers: [{logger}]\n", "study.yaml")


def follow(run: RunDir, logger: str) -> list[str]:
    """Feed it; what it said."""
    said: list[str] = []
    run.write()
    makers = choosing.makers(spec_for(logger), run.path, said.append)
    with Following(run.path / "log.jsonl", makers, said.append):
        pass
    return said


def begun(root: Path) -> None:
    """A session with one whole trial, and two that have begun."""
    with open_run(root) as run:
        begin(run)
        ask(run, 0, 1, 2)
        for examples in (100, 200, 300):
            run.record_reports([report(0, examples, metrics={"accuracy": 0.5, "acc@5": examples / 1000})])
        run.record_outcome(outcome(0))
        run.record_reports([report(1, 100), report(2, 100)])
        run.commit()


def continued(run: RunDir) -> None:
    """The session after it: two trials end, one is pruned."""
    begin(run)
    run.record_reports([report(1, 100), report(1, 200), report(1, 300), report(2, 200)])
    run.record_outcome(outcome(1))
    run.record_outcome(Outcome(2, TrialState.FAIL, None, "loss is nan", {}))
    ask(run, 3)
    run.record_reports([report(3, 100, metrics={"loss": math.nan, "accuracy": 0.5})])
    run.record_outcome(outcome(3, TrialState.PRUNED))
