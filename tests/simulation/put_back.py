"""Faults of the past, and slips that are easily made, put back on purpose: histories must find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any
from unittest import mock

from runlog.layout import CheckpointName
from sweep.driver import driver, limits
from sweep.driver.steering import live
from sweep.executors import simulated_worker
from sweep.rundir import rundir
from sweep.scheduler import Limits, endings, faults
from sweep.scheduler.live import LiveRun
from sweep.scheduler.messages import Instruction
from sweep.scheduler.state import State
from sweep.vocabulary.turn import Load

Patch = tuple[Any, str, Callable[..., Any]]
"""A module, a name in it, and what stands for it."""


def _stands_at(load: Load) -> int:
    """As if checkpoints were looked up by a name without the folder that they are stored under."""
    name = CheckpointName.parse(str(PurePath(load.checkpoint or "")))
    return name.examples if name is not None else 0


def _broke(state: State, run: LiveRun, reason: str, now: float, out: list[Instruction]) -> None:
    endings.fail(state, run.id, reason, out)


def _limits_without_a_stop(*given: Any, **named: Any) -> Limits:
    return replace(limits.limits(*given, **named), stop_after=None)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


FAULTS: Mapping[str, Patch] = {
    "2": (faults, "broke", _broke),
    "2-stop": (driver, "limits", _limits_without_a_stop),
    "12": (simulated_worker, "stands_at", _stands_at),
    "kept-lane": (endings, "unqueue", lambda state, run: None),
    "torn-line": (rundir, "whole_bytes", _size),
    "asked-again": (live, "is_answered", lambda run, request: False),
}
"""By name: 2 and 12 of docs/faults.md (a trial that breaks fails at once; none that break stop the study;
checkpoints are not found), a told trial that keeps its lane, a torn line that is not cut off, a request that
is answered again after a kill."""


@contextmanager
def put_back(name: str | None) -> Iterator[None]:
    """Everything in here has this fault."""
    if name is None:
        yield
        return
    with mock.patch.object(*FAULTS[name]):
        yield
