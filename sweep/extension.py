"""Trials of a finished run, trained for longer: each goes on from its checkpoint under its own key.

A finished Optuna trial takes no more reports, so the trials are new ones, in a study and run directory of
their own, and name the run and the trial that they go on from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from configfile import yamlfile
from runlog import layout
from runlog.ranking import best_first
from sweep import spec as specs
from sweep.checkpoints import read_chunks
from sweep.errors import CheckpointError, Problem, RunDirError, SpecError
from sweep.history import History, read_history
from sweep.provenance import read_provenance
from sweep.schema import StudySpec
from sweep.trial import Scalar, Snapshot, TrialPlan, TrialState

UNITS = ("epochs", "examples", "updates")


@dataclass(frozen=True)
class Parent:
    """A trial that is gone on with: `start` holds the checkpoint of each replicate."""

    run: str
    trial: int
    params: Mapping[str, Scalar]
    start: Mapping[int, Snapshot]


class Extension:
    """The trials of a study that go on from those of another run, the first from the first, and so on."""

    def __init__(self, spec: StudySpec) -> None:
        """Raises SpecError where the run is not there, or has not kept what is needed."""
        assert spec.extends is not None
        self._spec = spec
        self._stretch = spec.extends.schedule == "stretch"
        path = spec.folder / spec.extends.run
        history = _history(path, spec)
        parents = {parent.trial: parent for parent in _parents(path, history, spec.trial.replicates)}
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
            remedy = "a study of its own searches on: see `warm_start`"
            raise SpecError([_problem(spec, ("budget", "trials"), rule, None, remedy)])

    def apply(self, plan: TrialPlan) -> TrialPlan:
        """The plan with its parent's key, checkpoints and, unless stretched, the horizon of its schedule."""
        parent = self.parents[plan.number]
        seen = max(snapshot.examples for snapshot in parent.start.values())
        if plan.length.examples <= seen:
            rule = "must be longer than what is gone on from"
            found = f"{plan.length.examples} examples of {seen}"
            raise SpecError([_problem(self._spec, ("trial", "length"), rule, found, "train for longer")])
        horizon = None if self._stretch else seen
        length = replace(plan.length, horizon=horizon)
        return replace(plan, length=length, key_number=parent.trial, start=parent.start)


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the run that a study extends."""
    if spec.extends is None:
        return []
    try:
        Extension(spec)
    except SpecError as error:
        return error.problems
    return []


def study_text(
    run: Path, length: str, *, best: int | None = None, name: str | None = None, stretch: bool = False
) -> tuple[Path, str]:
    """The study file that goes on with the best trials of a run, and where it belongs: beside the run's own.

    `length` is such as "40 epochs". Raises RunDirError, or SpecError for a length that cannot be meant.
    """
    value, unit = _extent(length)
    if missing := [name for name in (layout.LOG, layout.STUDY) if not (run / name).is_file()]:
        raise RunDirError(f"{run}: must be a run directory, with {missing[0]}; give one, such as runs/digits")
    parent = specs.parse((run / layout.STUDY).read_bytes(), str(run / layout.STUDY))
    before = getattr(parent.trial.length, unit)
    if before is not None and value <= before:
        raise RunDirError(f"--length: must be more than the run's {before:g} {unit}; found {value:g} {unit}")
    history = read_history(run)
    parents = _parents(run, history, parent.trial.replicates)
    if not parents:
        raise RunDirError(
            f"{run}: must hold the final checkpoint of a complete trial; found none; run the study again "
            "with checkpoints: {keep_best: 3} in its file and without `store`"
        )
    order = _best(parents, history, parent)[:best]
    values = _extended(parent, order, run, {unit: value}, stretch=stretch)
    values["name"] = name or f"{parent.name}-{value:g}-{unit}"
    path, text = _folder(run) / f"{values['name']}.yaml", yamlfile.dump(values)
    specs.parse(text, str(path))  # a name that is none, say, before anything is written
    return path, text


def _extended(
    parent: StudySpec, order: Sequence[Parent], run: Path, extent: Mapping[str, float], *, stretch: bool
) -> dict[str, Any]:
    """The parent's file with what differs; what chooses among trials is left out, all are trained."""
    values = specs.resolved(parent)
    for key in ("warm_start", "stop", "pruner", "storage", "extends"):
        values.pop(key, None)
    values["trial"]["length"] = dict(extent)
    values["enqueue"] = [dict(each.params) for each in order]
    values["budget"] = {"trials": len(order)}
    values["checkpoints"]["keep_best"] = len(order)
    values["extends"] = {
        "run": str(run.resolve()),
        "trials": [each.trial for each in order],
        "schedule": "stretch" if stretch else "keep",
    }
    return values


def _extent(text: str) -> tuple[float, str]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(epochs?|examples|updates)", text.strip())
    value = float(found[1]) if found else 0.0
    unit = found[2].removesuffix("s") + "s" if found else ""
    if value <= 0 or (unit != "epochs" and not value.is_integer()):
        units = ", ".join(UNITS)
        raise RunDirError(f'--length: must be a number of {units}, such as "40 epochs"; found {text!r}')
    return (value if unit == "epochs" and not value.is_integer() else int(value)), unit


def _parents(run: Path, history: History, replicates: int) -> list[Parent]:
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


def _best(parents: Sequence[Parent], history: History, spec: StudySpec) -> list[Parent]:
    values = {each.trial: history.told[each.trial].values or () for each in parents}
    by_number = {each.trial: each for each in parents}
    ranked = best_first(values, [objective.direction for objective in spec.objective])
    return [by_number[number] for number in ranked]


def _folder(run: Path) -> Path:
    """Where the run's study file lies, and with it the task."""
    folder = (read_provenance(run / layout.PROVENANCE) or {}).get("folder")
    if not isinstance(folder, str) or not Path(folder).is_dir():
        raise RunDirError(
            f"{run / layout.PROVENANCE}: must name the folder of the study file and its task; found "
            f"{json.dumps(folder)}; run the study's own command once more where the folder lies now"
        )
    return Path(folder)


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
