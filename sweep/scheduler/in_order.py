"""In a fixed order: what trials report is entered boundary by boundary, so that who is first changes nothing.

A boundary is entered once all replicates have reached it, and the next one after its verdict. Where the
pruner compares trials that run, a verdict waits until all trials before have reached the boundary or ended.
That keeps no worker waiting: the trial trains on, and what it reports meanwhile is kept here. It counts once
the verdict lets the trial continue, and is dropped where it does not. The first live trial waits for no
other, so all of them end.
"""

from __future__ import annotations

import math

from sweep.scheduler import endings
from sweep.scheduler.live import Arrived, LiveRun, LiveTrial
from sweep.scheduler.messages import Instruction, Judge, Judged, Record
from sweep.scheduler.state import State
from sweep.vocabulary.trial import Report


def arrived(state: State, trial: LiveTrial, report: Report, lane_s: float) -> None:
    """Keep a report until it is its turn; `lane_s` is its run's lane time up to it, in seconds."""
    trial.rows.setdefault(report.examples, {})[report.replicate] = Arrived(report, lane_s)
    state.moved.add(trial.plan.number)


def judge_again(state: State, trial: LiveTrial) -> None:
    """A trial was resumed: the verdict on its last boundary may be what the last session came to no more."""
    trial.awaits = trial.entered or None
    if trial.awaits is not None:
        state.held.add(trial.plan.number)
    state.moved.add(trial.plan.number)


def judged(state: State, event: Judged, out: list[Instruction]) -> None:
    """Verdicts have come: trials continue to their next boundary, or end here."""
    for number in sorted(event.judged):
        trial = state.trials.get(number)
        if trial is None or not trial.is_judged:
            continue
        trial.awaits, trial.is_judged = None, False
        if endings.out_of_patience(state, trial):
            endings.complete(state, trial, out)
        elif number in event.pruned:
            endings.prune(state, number, out)
        else:
            state.moved.add(number)


def settle(state: State, out: list[Instruction]) -> None:
    """Enter all whose turn it is, and ask for the verdicts that may be given now."""
    for number in sorted(state.moved):
        if number in state.trials:
            _enter_next(state, state.trials[number], out)
    state.moved.clear()
    _judge(state, out)


def _enter_next(state: State, trial: LiveTrial, out: list[Instruction]) -> None:
    """Enter the boundaries up to the next that has to be judged; end the trial where its last was."""
    while trial.awaits is None:
        examples = min(trial.rows, default=math.inf)
        failed = _failed_first(trial)
        if failed is not None and examples > failed.reported:
            if all(run.finished or run.reported >= failed.reported for run in trial.runs.values()):
                endings.tell_failed(state, trial, failed, out)
            return
        if not trial.rows or not _is_whole(trial, examples):
            break
        _enter(state, trial, int(examples), out)
    if trial.awaits is None and not trial.rows and trial.finished:
        endings.complete(state, trial, out)


def _failed_first(trial: LiveTrial) -> LiveRun | None:
    """Of the runs that failed the one that came least far: the trial ends there."""
    failed = (run for run in trial.runs.values() if run.failure is not None)
    return min(failed, key=lambda run: run.reported, default=None)


def _is_whole(trial: LiveTrial, examples: float) -> bool:
    """Whether no replicate can report there any more."""
    return all(run.finished or run.reported >= examples for run in trial.runs.values())


def _enter(state: State, trial: LiveTrial, examples: int, out: list[Instruction]) -> None:
    row, passed = trial.rows.pop(examples), None
    for replicate in sorted(row):
        out.append(Record(*row[replicate]))
        passed = trial.enter_report(row[replicate].report)
    trial.entered = examples
    if passed is not None:  # of a function not all replicates may report there
        endings.follow_patience(state, trial)
        trial.awaits = examples
        state.held.add(trial.plan.number)


def _judge(state: State, out: list[Instruction]) -> None:
    """Ask for the verdicts that need not wait: trials stand in the order of their numbers."""
    reached = math.inf
    for number, trial in state.trials.items():
        if not state.held:
            return
        if number in state.held and (reached >= (trial.awaits or 0) or not _is_compared(state, trial)):
            state.held.remove(number)
            _ask_verdict(state, trial, out)
        reached = min(reached, trial.entered)


def _is_compared(state: State, trial: LiveTrial) -> bool:
    """Whether the verdict depends on what trials before it reported up to there."""
    length = trial.runs[0].length
    return state.limits.compares_running and state.limits.at_rung(length, trial.awaits or 0)


def _ask_verdict(state: State, trial: LiveTrial, out: list[Instruction]) -> None:
    number, length, passed = trial.plan.number, trial.runs[0].length, trial.passed[-1]
    assert trial.awaits is not None
    out.append(Judge(number, trial.awaits, passed.means, passed.each, trial.awaits >= length.examples))
    trial.is_judged = True
    if state.limits.may_prune(length, trial.awaits):
        state.unjudged.add(number)
