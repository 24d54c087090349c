"""Answers in the log: recorded before anything is done, so that a session can do what a kill left undone."""

from __future__ import annotations

from runlog.steered import Answered
from sweep.driver.steering.channel import Request
from sweep.driver.steering.decisions import Decision
from sweep.rundir.null import NullRunDir
from sweep.rundir.rundir import RunDir


def record(run: RunDir | NullRunDir, request: Request, decision: Decision) -> Answered:
    """Record what a request comes to, on disk; what it accepts is to be done from here on."""
    run.record_known(
        "request",
        id=request.id,
        verb=request.verb,
        arguments=dict(decision.arguments),
        accepted=decision.accepted,
        answer=decision.answer,
        by=request.by,
        asked=request.time,
        **({"file": dict(decision.file)} if decision.file else {}),
    )
    return run.history.study.steered.answered[request.id]


def is_answered(run: RunDir | NullRunDir, request: Request) -> bool:
    """Whether the log has its answer: a kill may have left the request behind."""
    return request.id in run.history.study.steered.answered
