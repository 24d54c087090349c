"""The edge to Ray alone: what it raises becomes an error that a person can act on."""

from __future__ import annotations

import pytest

from sweep.errors import SweepError
from sweep.executors.ray import RayExecutor
from sweep.executors.ray_own import OwnRay
from sweep.turn import TaskRef, WorkerSettings


def test_invariant_10_a_ray_that_does_not_start_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise Exception("The current node timed out during startup")  # as Ray does, without a kind

    monkeypatch.setattr("sweep.executors.ray_setup.ray.init", refuse)
    settings = WorkerSettings(TaskRef(".", "task.py:Task"), None, keep_final=False)
    with pytest.raises(SweepError, match=r"did not start .* timed out .* run the same command again"):
        RayExecutor(settings, OwnRay(slots=1, gpus=0)).start()
