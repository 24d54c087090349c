"""How trials end, as Optuna is told and as it is read back."""

from __future__ import annotations

from math import inf

import optuna
from optuna.trial import FrozenTrial

from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Outcome, TrialState

STATES = {
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAIL: optuna.trial.TrialState.FAIL,
}
"""Our ends of a trial as Optuna's."""

DIVERGED = "diverged"
"""The user attribute of trials that diverged."""


def end_of(spec: StudySpec, outcome: Outcome) -> tuple[optuna.trial.TrialState, list[float] | None]:
    """The state and the values that Optuna is told.

    A trial that diverged is by default the worst there can be: complete, and infinitely bad. So every sampler
    learns from it, as none does from what failed.
    """
    if outcome.diverged and spec.diverged != "failed":
        if spec.diverged == "pruned":
            return optuna.trial.TrialState.PRUNED, None
        worst = [inf if each.direction == "minimize" else -inf for each in spec.objective]
        return optuna.trial.TrialState.COMPLETE, worst
    complete = outcome.state is TrialState.COMPLETE and outcome.values is not None
    return STATES[outcome.state], list(outcome.values) if complete and outcome.values else None


def outcome_of(trial: FrozenTrial) -> Outcome:
    """How a trial ended, as far as Optuna knows."""
    if trial.user_attrs.get(DIVERGED):
        return Outcome(trial.number, TrialState.FAIL, reason=trial.user_attrs.get("reason"), diverged=True)
    ends = {theirs: ours for ours, theirs in STATES.items()}
    return Outcome(trial.number, ends[trial.state], tuple(trial.values or ()) or None)
