"""How trials end: each is told once and leaves the state."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

from sweep.scheduler.limits import Constraint
from sweep.scheduler.live import LiveTrial
from sweep.scheduler.messages import Instruction, Tell
from sweep.scheduler.queues import unqueue
from sweep.scheduler.state import State
from sweep.vocabulary.trial import LEDGER, Outcome, RunId, TrialState


def complete(state: State, trial: LiveTrial, out: list[Instruction]) -> None:
    """All runs have ended; a trial without a finite number for each objective fails."""
    for name in state.limits.objectives:
        if name not in trial.last:
            _tell(state, trial, TrialState.FAIL, out, f"objective {name} is missing from the last report")
            return
    for name in state.limits.objectives:
        if not math.isfinite(value := trial.last[name]):
            found = "NaN" if math.isnan(value) else f"{value:+g}"
            reason = f"objective {name} is {found} in the last report"
            _tell(state, trial, TrialState.FAIL, out, reason, diverged=True)
            return
    _tell(state, trial, TrialState.COMPLETE, out)


def prune(state: State, number: int, out: list[Instruction]) -> None:
    """The pruner ends a trial, unless it has ended meanwhile."""
    trial = state.trials.get(number)
    if trial is not None:
        _tell(state, trial, TrialState.PRUNED, out)


def fail(state: State, id: RunId, reason: str, out: list[Instruction], *, diverged: bool = False) -> None:
    """A run failed by itself, and its trial with it; `diverged` where its loss was not finite."""
    trial = state.trials.get(id.trial)
    if trial is not None:
        _tell(state, trial, TrialState.FAIL, out, reason, diverged=diverged)


def _tell(
    state: State,
    trial: LiveTrial,
    end: TrialState,
    out: list[Instruction],
    reason: str | None = None,
    *,
    diverged: bool = False,
) -> None:
    """A told trial leaves: its lanes are dropped with the next turn, what it still reports is ignored."""
    out.append(Tell(replace(_outcome(state, trial, end, reason), diverged=diverged)))
    del state.trials[trial.plan.number]
    state.unjudged.discard(trial.plan.number)
    state.told += 1
    state.broken = state.broken + 1 if end is TrialState.FAIL and not diverged else 0
    for run in trial.runs.values():
        state.paused.pop(run.id, None)
        slot = state.slots.get(run.slot) if run.slot else None
        lane = slot.vacate(run.id) if slot else None
        if slot is not None and lane is not None:
            slot.drops.append(lane)
        unqueue(state, run)


def _outcome(state: State, trial: LiveTrial, end: TrialState, reason: str | None) -> Outcome:
    names = state.limits.objectives
    values: tuple[float, ...] | None = None
    replicates: tuple[tuple[float, ...], ...] = ()
    if end is not TrialState.FAIL and all(name in trial.last for name in names):
        values = tuple(trial.last[name] for name in names)
        if len(trial.each) > 1:
            replicates = tuple(tuple(each[name] for each in trial.each) for name in names)
    constraints = {} if end is TrialState.FAIL else _excess(state.limits.constraints, trial)
    return Outcome(trial.plan.number, end, values, reason, dict(trial.ledger), constraints, replicates)


def _excess(constraints: tuple[Constraint, ...], trial: LiveTrial) -> dict[str, float]:
    """By how much each constraint is broken; NaN breaks it beyond all measure."""
    found = {**trial.ledger, **trial.last}
    excess = {}
    for name, low, high in constraints:
        value = found.get(name, 0.0 if name in LEDGER else math.nan)
        beyond = [low - value] if low is not None else []
        beyond += [value - high] if high is not None else []
        excess[name] = sys.float_info.max if math.isnan(value) else max(beyond)
    return excess
