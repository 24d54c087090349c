"""How trials end: each is told once and leaves the state.

One that is COMPLETE is told once the checkpoints that stay of it have arrived. Where the driver dies before,
the next session finds the trial unfinished, and makes again what is missing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace

from sweep.scheduler import feeding
from sweep.scheduler.limits import Aim, Constraint
from sweep.scheduler.live import Boundary, Failure, LiveRun, LiveTrial
from sweep.scheduler.messages import Instruction, Keep, Tell
from sweep.scheduler.queues import unqueue
from sweep.scheduler.state import State
from sweep.vocabulary.trial import LEDGER, Outcome, RunId, TrialState

PRUNED_BY_HAND = "pruned by hand"
FINISHED_BY_HAND = "finished by hand"
"""Reasons of ends that a person asked for."""


def complete(state: State, trial: LiveTrial, out: list[Instruction]) -> None:
    """The trial has ended, by all its runs or by patience; without a finite number an objective it fails."""
    if trial.finished and trial.plan.length.open and not trial.rows and not out_of_patience(state, trial):
        trial.level()
    values = [(aim, _value(trial, aim)) for aim in state.limits.objectives]
    for aim, value in values:
        if value is None:
            reason = _missing(trial, aim)
            _tell(state, trial, TrialState.FAIL, out, reason)
            return
    for aim, value in values:
        if value is not None and not math.isfinite(value):
            found = "NaN" if math.isnan(value) else f"{value:+g}"
            reason = f"objective {aim.metric} is {found} in the last report"
            _tell(state, trial, TrialState.FAIL, out, reason, diverged=True)
            return
    by_hand = trial.plan.number in state.finishing
    trial.outcome = _outcome(state, trial, TrialState.COMPLETE, FINISHED_BY_HAND if by_hand else None)
    _withdraw(state, trial)
    if not state.limits.keeps:
        _tell_complete(state, trial, out)
        return
    state.ending[trial.plan.number] = trial
    out.append(Keep(trial.outcome, {} if by_hand else trial.finals()))


def kept(state: State, number: int, out: list[Instruction]) -> None:
    """What stays of a trial that has ended is there: now it is told."""
    trial = state.ending.pop(number, None)
    if trial is not None:
        _tell_complete(state, trial, out)


def unsaved(state: State, number: int, replicates: Collection[int], out: list[Instruction]) -> list[LiveRun]:
    """The runs whose last checkpoints were lost: their trial is live until they have made them again."""
    trial = state.ending.pop(number, None)
    if trial is None:
        return []
    if trial.outcome is not None and trial.outcome.reason == FINISHED_BY_HAND:
        _tell_complete(state, trial, out)  # it ends where it stands: with its last checkpoint that is there
        return []
    state.trials[number] = trial
    state.trials = dict(sorted(state.trials.items()))
    runs = [trial.runs[replicate] for replicate in replicates]
    for run in runs:
        run.finished = run.final = False
    return runs


def finish(state: State, number: int) -> None:
    """A person ends a trial, unless it is told already: runs in slots end with a turn of their own."""
    if (ended := state.ending.get(number)) is not None and ended.outcome is not None:
        ended.outcome = replace(ended.outcome, reason=FINISHED_BY_HAND)
    if number in state.trials:
        state.finishing.add(number)
        for slot in state.slots.values():
            if any(run.trial == number for run in slot.holding):
                feeding.open_slot(state, slot)


def finish_those_that_wait(state: State, out: list[Instruction]) -> None:
    """Of trials that are to end, runs in no slot end where their last reports and checkpoints are."""
    for number in sorted(state.finishing):
        trial = state.trials[number]
        for run in trial.runs.values():
            if run.slot is None and not run.finished:
                state.paused.pop(run.id, None)
                unqueue(state, run)
                run.finished = True
        if state.limits.in_order:  # what it has reported and is not entered comes first
            state.moved.add(number)
        elif trial.finished:
            complete(state, trial, out)


def _missing(trial: LiveTrial, aim: Aim) -> str:
    """What an objective that is not there was expected in."""
    if not trial.passed:
        return f"objective {aim.metric} is missing: the trial ended without a report"
    names = ", ".join(trial.passed[-1].means)
    there = f"which has {names}" if names else "which has no metric"
    return f"objective {aim.metric} is missing from the last report, {there}"


def follow_patience(state: State, trial: LiveTrial) -> None:
    """Count a boundary that all replicates have reached: is it better than those before it?"""
    patience, aim = state.limits.patience, state.limits.objectives[0]
    if patience is None:
        return
    value = trial.passed[-1].means.get(aim.metric, math.nan)
    cost = value if aim.minimize else -value
    if cost < trial.best - patience.min_delta:
        trial.best, trial.stalled = cost, 0
    else:
        trial.stalled += 1


def out_of_patience(state: State, trial: LiveTrial) -> bool:
    """Whether the trial has not become better for too long, and ends with what it has."""
    return state.limits.patience is not None and trial.stalled >= state.limits.patience.reports


def prune(state: State, number: int, out: list[Instruction], reason: str | None = None) -> None:
    """The pruner, or a person, ends a trial, unless it has ended meanwhile.

    A person who pruned it in a session that was killed did so before it ended in this one.
    """
    if reason == PRUNED_BY_HAND and number in state.ending:
        state.trials[number] = state.ending.pop(number)
    trial = state.trials.get(number)
    if trial is not None:
        _tell(state, trial, TrialState.PRUNED, out, reason)


def fail(state: State, id: RunId, reason: str, out: list[Instruction], *, diverged: bool = False) -> None:
    """A run failed by itself, and its trial with it; `diverged` where its loss was not finite.

    In a fixed order the trial fails once what came before is entered, unless a verdict ends it there.
    """
    trial = state.trials.get(id.trial)
    if trial is None:
        return
    if trial.outcome is not None:  # it had come to its end: only the checkpoint is lost
        _withdraw(state, trial)
        _tell_complete(state, trial, out)
        return
    if not state.limits.in_order:
        _tell(state, trial, TrialState.FAIL, out, reason, diverged=diverged)
        return
    run = trial.runs[id.replicate]
    if not run.finished:
        _leave(state, run)
        run.failure, run.finished, run.slot = Failure(reason, diverged), True, None
        state.moved.add(id.trial)


def tell_failed(state: State, trial: LiveTrial, run: LiveRun, out: list[Instruction]) -> None:
    """All that was reported before a run failed is entered: now its trial has failed."""
    assert run.failure is not None
    _tell(state, trial, TrialState.FAIL, out, run.failure.reason, diverged=run.failure.diverged)


def _tell(
    state: State,
    trial: LiveTrial,
    end: TrialState,
    out: list[Instruction],
    reason: str | None = None,
    *,
    diverged: bool = False,
) -> None:
    out.append(Tell(replace(_outcome(state, trial, end, reason), diverged=diverged)))
    _withdraw(state, trial)
    state.told += 1
    state.broken = state.broken + 1 if end is TrialState.FAIL and not diverged else 0


def _tell_complete(state: State, trial: LiveTrial, out: list[Instruction]) -> None:
    assert trial.outcome is not None
    out.append(Tell(trial.outcome))
    state.told += 1
    state.broken = 0


def _withdraw(state: State, trial: LiveTrial) -> None:
    """It leaves what is live: its lanes are dropped with the next turn, what it still reports is ignored."""
    del state.trials[trial.plan.number]
    state.unjudged.discard(trial.plan.number)
    state.finishing.discard(trial.plan.number)
    state.held.discard(trial.plan.number)
    for run in trial.runs.values():
        _leave(state, run)


def _leave(state: State, run: LiveRun) -> None:
    """Take a run out of wherever it is; the lane that it has is dropped."""
    state.paused.pop(run.id, None)
    slot = state.slots.get(run.slot) if run.slot else None
    lane = slot.vacate(run.id) if slot else None
    if slot is not None and lane is not None:
        slot.drops.append(lane)
    unqueue(state, run)


def _outcome(state: State, trial: LiveTrial, end: TrialState, reason: str | None) -> Outcome:
    aims = state.limits.objectives
    found = [] if end is TrialState.FAIL else [_value(trial, aim) for aim in aims]
    known = tuple(value for value in found if value is not None)
    values = known if len(known) == len(aims) else None
    replicates: tuple[tuple[float, ...], ...] = ()
    if values is not None and len(trial.runs) > 1:
        replicates = tuple(_of_each_replicate(trial, aim) for aim in aims)
    constrained = end is not TrialState.FAIL and state.limits.constraints
    constraints = _excess(state.limits.constraints, trial, aims[0]) if constrained else {}
    return Outcome(trial.plan.number, end, values, reason, dict(trial.ledger), constraints, replicates)


def _counted(trial: LiveTrial, aim: Aim) -> list[Boundary]:
    """The boundaries whose reports make the trial's value."""
    passed = trial.passed[-1:] if aim.of == "last" else trial.passed
    having = [each for each in passed if aim.metric in each.means]
    places = aim.reports([each.means[aim.metric] for each in having]) if having else ()
    return [having[place] for place in places]


def _value(trial: LiveTrial, aim: Aim) -> float | None:
    """An objective's value; None where no report has it."""
    counted = _counted(trial, aim)
    return _mean([each.means[aim.metric] for each in counted]) if counted else None


def _of_each_replicate(trial: LiveTrial, aim: Aim) -> tuple[float, ...]:
    counted = _counted(trial, aim)
    return tuple(_mean([row.each[place][aim.metric] for row in counted]) for place in range(len(trial.runs)))


def _mean(values: Sequence[float]) -> float:
    """One value stays as it is, bit for bit."""
    return values[0] if len(values) == 1 else sum(values) / len(values)


def _excess(constraints: tuple[Constraint, ...], trial: LiveTrial, aim: Aim) -> dict[str, float]:
    """By how much each constraint is broken where the value is from; NaN breaks it beyond all measure."""
    counted = _counted(trial, aim) or trial.passed[-1:]
    found = {**trial.ledger, **(counted[-1].means if counted else {})}
    excess = {}
    for name, low, high in constraints:
        value = found.get(name, 0.0 if name in LEDGER else math.nan)
        beyond = [low - value] if low is not None else []
        beyond += [value - high] if high is not None else []
        excess[name] = sys.float_info.max if math.isnan(value) else max(beyond)
    return excess
