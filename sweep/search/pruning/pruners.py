"""Optuna's pruners by name, with the study file's arguments; resources and warm-up are in examples."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from typing import Any

import optuna

from configfile.yamlfile import Path
from sweep.errors import Problem, SpecError
from sweep.search.optuna_internals import marks_rungs, successive_halving_numbers
from sweep.search.pruning import lengths
from sweep.search.samplers import quietly
from sweep.spec.named import classes
from sweep.spec.named.registry import Registered, Registry
from sweep.spec.schema import StudySpec
from sweep.vocabulary.trial import Length

REGISTRY = Registry(
    "pruner",
    {
        "none": Registered(optuna.pruners.NopPruner),
        "median": Registered(optuna.pruners.MedianPruner),
        "percentile": Registered(optuna.pruners.PercentilePruner),
        "successive_halving": Registered(optuna.pruners.SuccessiveHalvingPruner),
        "hyperband": Registered(optuna.pruners.HyperbandPruner),
        "threshold": Registered(optuna.pruners.ThresholdPruner),
        "patient": Registered(optuna.pruners.PatientPruner),
        "wilcoxon": Registered(optuna.pruners.WilcoxonPruner, ("scipy",)),
    },
    base=optuna.pruners.BasePruner,
)
PATH: Path = ("pruner",)
WRAPPED = "wrapped_pruner"
OWN = ("name", "metric")

SOME_EXAMPLES = 1_000_000
"""The size of a training set, where the task is not known yet and any will do."""


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the pruner and its arguments; needs Optuna, which reading the file does not."""
    if found := list(lengths.problems(spec)):
        return found
    spec = lengths.pruner_in_examples(spec, SOME_EXAMPLES)
    given = {"name": spec.pruner.name, **spec.pruner.arguments}
    try:
        found = [*_problems(spec, PATH, given), *_replicate_problems(spec)]
        if not found:
            make(spec, Length(2, 1))
    except SpecError as error:
        return error.problems
    return found


def make(spec: StudySpec, length: Length) -> optuna.pruners.BasePruner:
    """The study's pruner. Raises SpecError.

    Unless the file says otherwise the least resource and the warm-up are one report, the most is the length:
    Optuna's own defaults prune nearly all at the first report.
    """
    return _make(spec, PATH, {"name": spec.pruner.name, **spec.pruner.arguments}, length)


def marks_trials(spec: StudySpec) -> bool:
    """Whether the pruner notes in trials what they were at its rungs: the log has no such notes."""
    return marks_rungs(make(lengths.pruner_in_examples(spec, SOME_EXAMPLES), Length(2, 1)))


def rungs(pruner: optuna.pruners.BasePruner, length: Length) -> tuple[int, ...] | None:
    """From how many examples on a pruner may prune at a trial's next report; None where at any.

    Successive halving decides where a trial has had the resource of a rung, min_resource times
    reduction_factor ** n from the bracket's first n on; hyperband does in each of its brackets.
    Source: `SuccessiveHalvingPruner.prune` in Optuna; Li et al., A System for Massively Parallel
    Hyperparameter Tuning, 2020.
    """
    if type(pruner) not in (optuna.pruners.SuccessiveHalvingPruner, optuna.pruners.HyperbandPruner):
        return None
    least, factor = successive_halving_numbers(pruner)
    if least is None:  # found out on the way, from the trials
        return None
    found = [least]
    while found[-1] * factor < length.examples:
        found.append(found[-1] * factor)
    return tuple(found)


def effective(
    spec: StudySpec, given: Mapping[str, Any], length: Length, *, path: Path = PATH
) -> dict[str, Any]:
    """Every argument that a pruner is built with: the file's, ours, the class's own defaults."""
    known = classes.parameters(pruner_class(spec, path, given))
    defaults = {name: each.default for name, each in known.items() if each.default is not each.empty}
    return defaults | _arguments(known, given, length)


def _arguments(known: Container[str], given: Mapping[str, Any], length: Length) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "min_resource": length.report_every,
        "max_resource": length.examples,
        "n_warmup_steps": length.report_every,
    }
    values = {name: value for name, value in ours.items() if name in known}
    return values | {name: value for name, value in given.items() if name not in OWN}


def _make(spec: StudySpec, path: Path, given: Mapping[str, Any], length: Length) -> optuna.pruners.BasePruner:
    cls = pruner_class(spec, path, given)
    known = classes.parameters(cls)
    values = _arguments(known, given, length)
    if WRAPPED in known:
        inner = given.get(WRAPPED)
        values[WRAPPED] = None if inner is None else _make(spec, (*path, WRAPPED), inner, length)
    pruner: optuna.pruners.BasePruner
    with quietly():
        pruner = classes.build(spec.document, path, cls, values)
    return pruner


def _problems(spec: StudySpec, path: Path, given: Mapping[str, Any]) -> Iterator[Problem]:
    cls = pruner_class(spec, path, given)
    if path != PATH and cls is optuna.pruners.WilcoxonPruner:
        what = "wilcoxon cannot be wrapped in another pruner"
        yield spec.document.problem((*path, "name"), what, "", "use it alone")
    own = OWN if path == PATH else ("name",)
    values = {name: value for name, value in given.items() if name not in (*own, WRAPPED)}
    if WRAPPED not in classes.parameters(cls):
        values |= {name: value for name, value in given.items() if name == WRAPPED}
    elif given.get(WRAPPED) is not None:
        yield from _problems(spec, (*path, WRAPPED), given[WRAPPED])
    optional = (*own, WRAPPED)
    yield from classes.problems(spec.document, path, cls, values, own=optional, withheld={})


def pruner_class(spec: StudySpec, path: Path, given: object) -> type[optuna.pruners.BasePruner]:
    """Raises SpecError where there is no such pruner, or what it needs is not installed."""
    document = spec.document
    if not isinstance(given, Mapping) or "name" not in given:
        remedy = "write {name: median} or another"
        raise SpecError([document.problem(path, "must be a pruner's name and arguments", remedy=remedy)])
    return REGISTRY.find(document, (*path, "name"), given["name"])


def _replicate_problems(spec: StudySpec) -> Iterator[Problem]:
    """A signed-rank test over n pairs cannot find anything less likely than 1 in 2^n."""
    if spec.pruner.name != "wilcoxon":
        return
    threshold = spec.pruner.arguments.get("p_threshold", 0.1)
    if not isinstance(threshold, float) or not 0 < threshold < 1:
        return
    least = math.floor(-math.log2(threshold)) + 1
    if spec.trial.replicates < least:
        what = f"must be at least {least} for the wilcoxon pruner to reach p < {threshold:g}"
        found = str(spec.trial.replicates)
        remedy = f"write replicates: {least}, or use another pruner"
        yield spec.document.problem(("trial", "replicates"), what, found, remedy)
