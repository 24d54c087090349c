"""Which checkpoints members resume from, and which ones others may yet copy."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.scheduler.live import ONLY
from sweep.scheduler.state import State
from sweep.spec.population.stretches import is_passed
from sweep.vocabulary.trial import Snapshot, TrialPlan


def collected(state: State, snapshot: Snapshot) -> None:
    """A snapshot has arrived: those whose lineage passed it can resume from it."""
    state.saved[snapshot.path] = snapshot
    for trial in (*state.trials.values(), *state.ending.values()):
        run = trial.runs[ONLY]
        if run.length.boundaries(snapshot.examples) <= run.recorded:
            run.checkpoint = last_passed(trial.plan, [run.checkpoint, snapshot])
    forget(state)


def forget(state: State) -> None:
    """Snapshots that all members are past are needed by those alone that resume from them."""
    least = min((trial.runs[ONLY].reported for trial in state.trials.values()), default=0)
    least = least if state.all_asked else 0  # those that are asked later begin at 0
    for path in [path for path, each in state.saved.items() if each.examples < least]:
        del state.saved[path]


def last_known(state: State, plan: TrialPlan) -> Snapshot | None:
    """The furthest of all checkpoints that a trial's lineage passed."""
    return last_passed(plan, _known(state))


def _known(state: State) -> Iterable[Snapshot | None]:
    yield from state.saved.values()
    yield from (trial.runs[ONLY].checkpoint for trial in state.trials.values())


def last_passed(plan: TrialPlan, snapshots: Iterable[Snapshot | None]) -> Snapshot | None:
    """The furthest of the snapshots that a trial's lineage passed."""
    passed = [each for each in snapshots if each is not None and is_passed(plan, each.trial, each.examples)]
    return max(passed, key=lambda each: each.examples, default=None)
