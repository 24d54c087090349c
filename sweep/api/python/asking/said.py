"""What a program says of its trial, as a report of it."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.api.python.asking.trial import Trial
from sweep.errors import SweepError
from sweep.vocabulary.trial import UNBOUNDED, Report
from sweep.worker.single.function_report import Reported, ReportError, reported


def read(values: Mapping[str, Any], trial: Trial) -> Reported:
    """What is reported, in numbers. Raises SweepError."""
    try:
        return reported(values, after=trial.reached)
    except ReportError as error:
        raise SweepError(f"trial {trial.number}: {error}") from error


def value(trial: Trial, found: float | Mapping[str, float], objective: str) -> Reported | None:
    """A trial's value as its last report; None where what was recorded last says the same."""
    metrics = dict(found) if isinstance(found, Mapping) else {objective: found}
    length = trial.load.plan.length.examples
    here = max(length, trial.examples + 1) if length < UNBOUNDED else trial.examples + 1
    report = read({"examples": here, **trial.last, **metrics}, trial)
    fresh = {str(name): report.metrics[str(name)] for name in metrics if str(name) in report.metrics}
    return None if fresh and _is_recorded(fresh, trial.recorded) else report


def check_complete(trial: Trial, found: Reported | None, objectives: Sequence[str]) -> None:
    """A trial without its objective would fail, for a word that is easily mistyped. Raises SweepError."""
    there = found.metrics if found is not None else trial.recorded
    for objective in objectives:
        if objective not in there:
            raise SweepError(
                f"trial {trial.number}: {objective} is missing. "
                'Give its value, tell(trial, value), or say why there is none, failed="..."'
            )


def report(trial: Trial, found: Reported) -> Report:
    """The report of the trial, here and now."""
    return Report(
        trial=trial.number,
        replicate=trial.load.replicate,
        examples=found.examples,
        epoch=found.epoch,
        updates=found.updates,
        metrics=found.metrics,
        attempt=trial.load.attempt,
        width=1,
        lane=0,
        host=socket.gethostname(),
        time=time.time(),
    )


def _is_recorded(fresh: Mapping[str, float], recorded: Mapping[str, float]) -> bool:
    """Whether all of it stands there; one NaN is as good as another."""
    return all(
        name in recorded and (number == recorded[name] or (math.isnan(number) and math.isnan(recorded[name])))
        for name, number in fresh.items()
    )
