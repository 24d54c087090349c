"""The order of a study: whether proposals and verdicts go by the trials' numbers, and what cannot with it.

With `order: fixed` proposal n follows from how trials 0 to n minus a lag ended, whatever else has arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from configfile.yamlfile import Path
from sweep.errors import Problem
from sweep.spec.population.settings import population_of
from sweep.spec.schema import FixedOrder, StudySpec
from sweep.vocabulary.trial import LEDGER

SHARE = 4
"""Without a lag of its own a study takes this share of its trials: its sampler learns from all others."""

LEAST, MOST = 8, 64
"""Between these: fewer trials keep few machines busy, more make the sampler wait too long for results."""

LEAST_AT_RUNGS = 16
"""At least so many where a pruner keeps few trials: one of them may train long after the next ended."""

AT_RUNGS = ("hyperband", "successive_halving")
"""Such pruners. Others compare with complete trials, and none of the first, as many as the lag, is pruned."""

INDEPENDENT = ("random", "qmc", "grid", "pbt")
"""Samplers whose proposals do not depend on results, so that any number of trials may run at once."""

RESOURCES = ("min_resource", "max_resource")
"""Arguments that a pruner may find out by itself."""


def lag_of(spec: StudySpec) -> int | None:
    """By how many numbers what a proposal sees is behind it; None where it sees all that has arrived."""
    if spec.order == "free" or population_of(spec) is not None:
        return None
    return spec.order.lag if isinstance(spec.order, FixedOrder) else default_lag(spec)


def is_together(spec: StudySpec) -> bool:
    """Whether members of a population wait for each other at their boundaries: their fixed order."""
    return spec.order != "free" and population_of(spec) is not None


def default_lag(spec: StudySpec) -> int:
    """The lag where the study file gives none: it must follow from the file, whatever there is to run on."""
    least = LEAST_AT_RUNGS if spec.pruner.name in AT_RUNGS else LEAST
    return min(max((spec.budget.trials or MOST * SHARE) // SHARE, least), MOST)


def waits_for_nobody(spec: StudySpec) -> bool:
    """Whether proposals, verdicts and the end of the study depend on no result."""
    stops = any(value is not None for value in (spec.stop.target, spec.stop.patience, spec.stop.terminator))
    return spec.sampler.name in INDEPENDENT and spec.pruner.name == "none" and not stops


def settled(spec: StudySpec, lag: int | None = None) -> StudySpec:
    """The study with its lag as a number: the one that its run has, whatever became of its budget."""
    if spec.order != "fixed" or population_of(spec) is not None:
        return spec
    return spec.model_copy(update={"order": FixedOrder(lag=lag or default_lag(spec))})


def idle_notes(spec: StudySpec, slots: int) -> Iterator[str]:
    """What to say where so many workers have more lanes than trials may run at once."""
    lag = lag_of(spec)
    lanes = slots * (spec.lanes if isinstance(spec.lanes, int) else 1)
    if lag is not None and lag < lanes and not waits_for_nobody(spec):
        yield f"order.lag lets {lag} trials run at once, and there are {lanes} lanes: the others stay idle"


def problems(spec: StudySpec) -> list[Problem]:
    """What cannot be the same twice, and so not in a fixed order."""
    return list(_problems(spec)) if spec.order != "free" else []


def _problems(spec: StudySpec) -> Iterator[Problem]:
    say = spec.document.problem
    if population_of(spec) is not None:
        yield from _population_problems(spec)
    for name in spec.constraints:
        if name in LEDGER:
            what = f"{name} differs from one run to the next, and `order: fixed` repeats what depends on it"
            yield say(("constraints", name), what, "", "remove it, or write order: free")
    for path, arguments in _pruners(("pruner",), spec.pruner.arguments):
        for name in RESOURCES:
            if arguments.get(name) == "auto":
                what = "auto goes by whichever trial completes first, and `order: fixed` by numbers alone"
                yield say((*path, name), what, "", "write a length, such as {epochs: 1}, or remove it")


def _population_problems(spec: StudySpec) -> Iterator[Problem]:
    say = spec.document.problem
    if isinstance(spec.order, FixedOrder):
        what = "members of a population are decided on together, without a lag"
        yield say(("order",), what, "", "write order: fixed")
    members, most = spec.budget.trials, spec.max_concurrent
    if isinstance(most, int) and members is not None and most < members:
        what = f"is less than the {members} members, who wait for each other in a fixed order"
        yield say(("max_concurrent",), what, None, "remove it: fewer lanes than members are enough")


def _pruners(path: Path, arguments: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The pruner's arguments, and those of pruners in it."""
    yield path, arguments
    for name, value in arguments.items():
        if isinstance(value, dict):
            yield from _pruners((*path, name), value)
