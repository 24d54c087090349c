"""What a pruner can do in the trials of a study: from where on it judges, and why it can never end one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.pruners import (
    HyperbandPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)

from sweep.search.pruning import pruners
from sweep.search.pruning.lengths import RESOURCES
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length


@dataclass(frozen=True)
class Reach:
    """`rungs` in examples, None where a pruner judges every report; `notes` are worth a person's time."""

    rungs: tuple[int, ...] | None
    notes: tuple[str, ...]


def reach(spec: StudySpec, length: Length) -> Reach:
    """What the study's pruner can do; lengths in its arguments are in examples already. Raises SpecError."""
    given = {"name": spec.pruner.name, **spec.pruner.arguments}
    made = pruners.make(spec, length)
    if isinstance(made, NopPruner):
        return Reach(None, ())
    never = _never(type(made), pruners.effective(spec, given, length), spec, length)
    notes = [f"pruner: {spec.pruner.name} can never end a trial: {never}"] if never else []
    rungs = pruners.rungs(made, length)
    within = None if rungs is None else tuple(rung for rung in rungs if rung <= _last_judged(length))
    return Reach(within, (*notes, *_unit_notes(given, length), *_patient_notes(given)))


def _last_judged(length: Length) -> int:
    """The last boundary before a trial's end; at the end nothing is pruned."""
    return (length.reports - 1) * length.report_every


def _never(
    cls: type[optuna.pruners.BasePruner], arguments: Mapping[str, Any], spec: StudySpec, length: Length
) -> str | None:
    """Why the pruner never ends a trial; None where it may."""
    last = _last_judged(length)
    if last == 0:
        return "a trial reports once, at its end. Report more often with trial.report_every"
    if issubclass(cls, PatientPruner):
        return _patient_never(arguments, spec, length)
    if issubclass(cls, HyperbandPruner | SuccessiveHalvingPruner):
        return _halving_never(arguments, last)
    if issubclass(cls, PercentilePruner | ThresholdPruner) and arguments["n_warmup_steps"] > last:
        warmup = arguments["n_warmup_steps"]
        return f"n_warmup_steps is {warmup} examples, and the last report that it judges is at {last}"
    startup, trials = arguments.get("n_startup_trials", 0), spec.budget.trials
    if issubclass(cls, PercentilePruner) and trials is not None and startup >= trials:
        return f"n_startup_trials is {startup}, and the budget {trials} trials"
    return None


def _halving_never(arguments: Mapping[str, Any], last: int) -> str | None:
    least, most = arguments["min_resource"], arguments.get("max_resource")
    if not isinstance(least, int):
        return None
    if isinstance(most, int) and most < least:
        return f"max_resource is {most} examples, less than min_resource, {least}"
    first = least * arguments["reduction_factor"] ** arguments.get("min_early_stopping_rate", 0)
    if first > last:
        return f"its first rung is at {first} examples, and the last report that it judges is at {last}"
    return None


def _patient_never(arguments: Mapping[str, Any], spec: StudySpec, length: Length) -> str | None:
    patience, judged = arguments["patience"], length.reports - 1
    if patience + 2 > judged:
        return (
            f"with patience {patience} it needs {patience + 2} reports before the end, a trial has {judged}"
        )
    inner = arguments.get(pruners.WRAPPED)
    if inner is None:
        return None
    if inner["name"] == "none":
        return (
            "it wraps `none`. Wrap another pruner, or write trial.patience to end trials that stop improving"
        )
    cls = pruners.pruner_class(spec, (*pruners.PATH, pruners.WRAPPED), inner)
    return _never(
        cls, pruners.effective(spec, inner, length, path=(*pruners.PATH, pruners.WRAPPED)), spec, length
    )


def _unit_notes(given: Mapping[str, Any], length: Length) -> list[str]:
    """Numbers that other tools count in epochs or reports."""
    return [
        f"pruner: {name} {value} is in examples, less than one report ({length.report_every}). "
        f"Write {{epochs: {value}}} for epochs"
        for name in RESOURCES
        if isinstance(value := given.get(name), int) and 0 < value < length.report_every
    ]


def _patient_notes(given: Mapping[str, Any]) -> list[str]:
    if given["name"] != "patient" or given.get(pruners.WRAPPED) is not None:
        return []
    return [
        "pruner: patient without a wrapped pruner ends trials as PRUNED, and those are never the best. "
        "trial.patience ends them COMPLETE"
    ]
