"""A worker without an executor: turns in, answers out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sweep.vocabulary.trial import Length, Scalar, TrialPlan
from sweep.vocabulary.turn import Load, TaskRef, Turn, WorkerSettings
from sweep.worker.worker import Worker
from tests.sweep.conftest import STUDIES

SIGNATURE = (("gradient_clip", False), ("micro_batch_size", 16), ("optimizer", "sgd"), ("slow", 0.0))
VALUES: dict[str, Scalar] = {**dict(SIGNATURE), "learning_rate": 0.01, "accumulation_steps": 1}
PLAN = TrialPlan(0, 3, VALUES, SIGNATURE, Length(192, 64))


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(WorkerSettings(TaskRef(str(STUDIES), "line.py:Line"), None, keep_final=False))
    yield made
    made.close()


@pytest.mark.parametrize("other", [{"number": 1}, {"seed": 4}, {"replicate": 1}, {}])
def test_a_checkpoint_of_another_run_is_refused(worker: Worker, other: dict[str, int]) -> None:
    other = dict(other)
    assert worker.turn(Turn(0, SIGNATURE, 1, loads=(Load(0, PLAN, 0, 1),))).error is None
    (saved,) = worker.turn(Turn(1, SIGNATURE, 1, advance=False)).snapshots
    replicate = other.pop("replicate", 0)
    load = Load(0, replace(PLAN, **other), replicate, 1, saved.path)  # type: ignore[arg-type]
    result = worker.turn(Turn(2, SIGNATURE, 1, drops=(0,), loads=(load,)))
    if other or replicate:
        assert result.error is not None
        assert f"is of another run than trial {load.plan.number}, replicate {replicate}" in result.error
    else:
        assert (result.error, [report.examples for report in result.reports]) == (None, [128])
