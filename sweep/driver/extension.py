"""Trials of a finished run, trained for longer: each resumes from its checkpoint under its own key.

A finished Optuna trial takes no more reports, so the trials are new ones, in a study and run directory of
their own, and name the run and the trial that they extend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runlog import layout
from sweep.errors import CheckpointError, Problem, RunDirError, SpecError
from sweep.rundir.checkpoints import read_chunks
from sweep.rundir.history import History, read_history
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Scalar, Snapshot, TrialPlan, TrialState
from sweep.vocabulary.turn import Trainable


@dataclass(frozen=True)
class Parent:
    """A trial that is extended: `start` holds the checkpoint of each replicate."""

    run: str
    trial: int
    params: Mapping[str, Scalar]
    start: Mapping[int, Snapshot]


class Extension:
    """The trials of a study that extend those of another run, in the same order."""

    def __init__(self, spec: StudySpec) -> None:
        """Raises SpecError where the run is missing, or has not kept the final checkpoints."""
        assert spec.extends is not None
        self._spec = spec
        self._stretch = spec.extends.schedule == "stretch"
        path = spec.folder / spec.extends.run
        history = _history(path, spec)
        parents = {parent.trial: parent for parent in parents_of(path, history, spec.trial.replicates)}
        missing = [number for number in spec.extends.trials if number not in parents]
        if missing:
            rule = "must name complete trials whose final checkpoints are in that run directory"
            remedy = f"there are {', '.join(map(str, sorted(parents))) or 'none'}"
            raise SpecError([_problem(spec, ("extends", "trials"), rule, str(missing[0]), remedy)])
        self.parents = [parents[number] for number in spec.extends.trials]
        self._check_points()

    def _check_points(self) -> None:
        """Each trial has its parent's hyperparameters, and there are no others: they would have no parent."""
        spec = self._spec
        if list(spec.enqueue) != [parent.params for parent in self.parents]:
            rule = "must be the hyperparameters of the trials that are extended, in their order"
            raise SpecError([_problem(spec, ("enqueue",), rule, None, "let `sweep extend` write the file")])
        if spec.budget.trials is None or spec.budget.trials > len(self.parents):
            rule = f"must be at most {len(self.parents)}, the number of trials that are extended"
            remedy = "to search further, start another study with `warm_start`"
            raise SpecError([_problem(spec, ("budget", "trials"), rule, None, remedy)])

    def apply(self, plan: TrialPlan) -> TrialPlan:
        """The plan with its parent's key, checkpoints and, unless stretched, the horizon of its schedule."""
        parent = self.parents[plan.number]
        seen = max(snapshot.examples for snapshot in parent.start.values())
        if plan.length.examples <= seen:
            rule = "must be longer than the run that is extended"
            found = f"{plan.length.examples} examples of {seen}"
            raise SpecError([_problem(self._spec, ("trial", "length"), rule, found, "train for longer")])
        horizon = None if self._stretch else seen
        length = replace(plan.length, horizon=horizon)
        return replace(plan, length=length, key_number=parent.trial, start=parent.start)


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the run that a study extends."""
    if spec.extends is None:
        return []
    if spec.trainable is not Trainable.TASK:
        what = f"trials of a {spec.trainable} cannot be extended: it decides itself how long it trains"
        return [spec.document.problem(("extends",), what, "", "remove it, or use `warm_start`")]
    try:
        Extension(spec)
    except SpecError as error:
        return error.problems
    return []


def parents_of(run: Path, history: History, replicates: int) -> list[Parent]:
    """Complete trials all of whose replicates' final checkpoints are there as they were recorded."""
    finals: dict[int, dict[int, Snapshot]] = {}
    for snapshot in history.checkpoints.values():
        if snapshot.final and snapshot.path not in history.stored_checkpoints and _is_sound(run, snapshot):
            here = replace(snapshot, path=str((run / snapshot.path).resolve()))
            finals.setdefault(snapshot.trial, {})[snapshot.replicate] = here
    return [
        Parent(str(run.resolve()), number, history.study.trials[number].params, start)
        for number, start in sorted(finals.items())
        if len(start) == replicates
        and number in history.told
        and history.told[number].state is TrialState.COMPLETE
    ]


def _is_sound(run: Path, snapshot: Snapshot) -> bool:
    try:
        for _ in read_chunks(run, snapshot):
            pass
    except CheckpointError:
        return False
    return True


def _history(path: Path, spec: StudySpec) -> History:
    if not (path / layout.LOG).is_file():
        rule, remedy = "must be a run directory", "give its path from the study file's folder"
        raise SpecError([_problem(spec, ("extends", "run"), rule, str(path), remedy)])
    try:
        return read_history(path)
    except RunDirError as error:
        raise SpecError([_problem(spec, ("extends", "run"), "must be readable", str(error), None)]) from error


def _problem(
    spec: StudySpec, path: tuple[str, ...], rule: str, found: str | None, remedy: str | None
) -> Problem:
    return spec.document.problem(path, rule, found, remedy)
