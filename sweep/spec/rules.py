"""The rules between values of a study file: functions from what could be read to the problems in it."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from configfile import nearest
from configfile.yamlfile import Document, Path, value_text
from sweep.errors import Problem
from sweep.spec.conditions import Circle, can_hold, contains, dependency_order, holds, is_active
from sweep.spec.hyperparameters import CORE, WORDS, Core
from sweep.spec.schema import (
    Choices,
    Entry,
    FloatRange,
    IntRange,
    Objective,
    Pruner,
    Require,
    Sampler,
    Stop,
    Trial,
)
from sweep.vocabulary.trial import Scalar


@dataclass(frozen=True)
class Draft:
    """The sections that could be read each on its own; None where one could not, missing entries left out.

    `space_names` and `fixed_names` are all that stand there, the unreadable ones too.
    """

    document: Document
    space_names: frozenset[str]
    fixed_names: frozenset[str]
    space: Mapping[str, Entry]
    fixed: Mapping[str, Scalar]
    enqueue: tuple[Mapping[str, Scalar], ...]
    objective: tuple[Objective, ...] | None
    trial: Trial | None
    sampler: Sampler | None
    pruner: Pruner | None
    stop: Stop | None
    cluster: str | None
    require: Require | None


Rule = Callable[[Draft], Iterator[Problem]]


def problems(draft: Draft) -> Iterator[Problem]:
    """Everything in the draft that breaks a rule."""
    for rule in RULES:
        yield from rule(draft)


def _names(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    for section, names in (("space", draft.space_names), ("fixed", draft.fixed_names)):
        for name in sorted(names):
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                rule = "must be a name that a task can read as `hp.name`"
                yield say((section, name), rule, value_text(name), "use letters, digits and _")
    for name in sorted(draft.space_names & draft.fixed_names):
        rule, remedy = "must stand in `space` or in `fixed`, not in both", "take it out of one"
        yield say(("fixed", name), rule, f"it on line {draft.document.line(('space', name))} too", remedy)


def _ranges(draft: Draft) -> Iterator[Problem]:
    for name, entry in draft.space.items():
        if isinstance(entry, Choices):
            yield from _choices(draft.document, ("space", name), entry)
        else:
            yield from _range(draft.document, ("space", name), entry)


def _range(document: Document, path: Path, entry: IntRange | FloatRange) -> Iterator[Problem]:
    bounds = f"low {entry.low}, high {entry.high}"
    if entry.low == entry.high:
        remedy = f"put {path[-1]}: {entry.low} into `fixed`"
        yield document.problem((*path, "low"), "`low < high` must hold", bounds, remedy)
    elif entry.low > entry.high:
        yield document.problem((*path, "low"), "`low < high` must hold", bounds, "exchange them")
    if entry.log and entry.low <= 0:
        remedy = "raise low, or leave `log` out"
        yield document.problem((*path, "low"), "`low > 0` must hold with `log: true`", remedy=remedy)
    stepped = entry.step is not None and "step" in entry.model_fields_set
    if entry.log and stepped and not (isinstance(entry, IntRange) and entry.step == 1):
        yield document.problem((*path, "step"), "must not stand with `log: true`", remedy="keep one of them")
    elif stepped and entry.step is not None and entry.low < entry.high:
        low, high, step = (Fraction(repr(number)) for number in (entry.low, entry.high, entry.step))
        if (high - low) % step:
            last = high - (high - low) % step
            rule = "must divide `high - low`"
            nearest_high = int(last) if isinstance(entry, IntRange) else float(last)
            remedy = f"with high: {nearest_high} it does" if last > low else "choose a smaller one"
            yield document.problem((*path, "step"), rule, f"step {entry.step}, {bounds}", remedy)


def _choices(document: Document, path: Path, entry: Choices) -> Iterator[Problem]:
    if not entry.choices:
        yield document.problem((*path, "choices"), "must hold at least one value", "none")
    for index, choice in enumerate(entry.choices):
        if choice in entry.choices[:index]:
            yield document.problem((*path, "choices", index), "must differ from the choices before it")


def _core(draft: Draft) -> Iterator[Problem]:
    for name, core in CORE.items():
        if name in draft.fixed:
            yield from _core_value(draft.document, ("fixed", name), core, draft.fixed[name])
        path: Path = ("space", name)
        match draft.space.get(name):
            case Choices(choices=choices):
                for index, choice in enumerate(choices):
                    yield from _core_value(draft.document, (*path, "choices", index), core, choice)
            case IntRange() | FloatRange() as entry if name in WORDS:
                found = f"a range from {entry.low} to {entry.high}"
                yield draft.document.problem(path, core.rule, found, "write {choices: [...]}")
            case IntRange() | FloatRange() as entry:
                yield from _core_value(draft.document, (*path, "low"), core, entry.low)
                yield from _core_value(draft.document, (*path, "high"), core, entry.high)


def _core_value(document: Document, path: Path, core: Core, value: Scalar) -> Iterator[Problem]:
    if not core.accepts(value):
        yield document.problem(path, core.rule, remedy=core.remedy(value))


def _conditions(draft: Draft) -> Iterator[Problem]:
    document = draft.document
    for name, entry in draft.space.items():
        for parent, condition in (entry.when or {}).items():
            path: Path = ("space", name, "when", parent)
            if parent in draft.fixed:
                if not holds(condition, draft.fixed[parent]):
                    found = f"{parent}: {value_text(draft.fixed[parent])} in `fixed`"
                    yield document.problem(path, "must be able to hold", found, f"take {name} out of `space`")
            elif parent in draft.space:
                if not can_hold(condition, draft.space[parent]):
                    remedy = f"choose from what {parent} can be"
                    yield document.problem(path, "must be able to hold", remedy=remedy)
            elif parent not in draft.space_names | draft.fixed_names:
                remedy = nearest.remedy(parent, sorted(draft.space_names - {name}))
                yield document.problem(path, "must name another entry of `space`", value_text(parent), remedy)
    try:
        dependency_order(draft.space)
    except Circle as circle:
        path = ("space", circle.names[0], "when")
        yield document.problem(path, "must not wait for itself", str(circle), "break the circle")


def _enqueue(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    for index, point in enumerate(draft.enqueue):
        for name, value in point.items():
            path: Path = ("enqueue", index, name)
            entry = draft.space.get(name)
            if name not in draft.space_names:
                yield say(
                    path,
                    "must be a name in `space`",
                    value_text(name),
                    nearest.remedy(name, draft.space_names),
                )
            elif entry is not None and not contains(entry, value):
                yield say(path, f"must lie in space.{name}")
            elif entry is not None and _known_inactive(entry, draft, point):
                yield say(path, "must be left out where its `when` does not hold")


def _known_inactive(entry: Entry, draft: Draft, point: Mapping[str, Scalar]) -> bool:
    """A condition on a value that the point leaves open may still hold."""
    values = {**draft.fixed, **point}
    return set(entry.when or ()) <= set(values) and not is_active(entry, values)


def _trial(draft: Draft) -> Iterator[Problem]:
    if draft.trial is None:
        return
    say, trial = draft.document.problem, draft.trial
    for name in ("epochs", "examples", "updates"):
        length, every = getattr(trial.length, name), getattr(trial.report_every, name)
        if length is not None and every is not None and every > length:
            rule = "must not be longer than `trial.length`"
            yield say(("trial", "report_every"), rule, f"{every} {name} of {length}", "report more often")
    varied = [name for name in ("accumulation_steps", "micro_batch_size") if name in draft.space_names]
    if trial.report_every.updates is not None and varied:
        rule = "must be the same number of examples for every trial"
        found = f"updates, while {' and '.join(varied)} differs between trials"
        yield say(("trial", "report_every"), rule, found, "give it in epochs or examples")
    yield from _micro_batch(draft, trial)


def _micro_batch(draft: Draft, trial: Trial) -> Iterator[Problem]:
    name = "micro_batch_size"
    places = [("trial", name)] if trial.micro_batch_size is not None else []
    places += [("space", name)] if name in draft.space_names else []
    places += [("fixed", name)] if name in draft.fixed_names else []
    if len(places) != 1:
        found = " and ".join(".".join(place) for place in places) or "none"
        rule, remedy = "must stand in exactly one place", "write trial.micro_batch_size: 32, say"
        yield draft.document.problem(places[0] if places else ("trial", name), rule, found, remedy)
    entry = draft.space.get(name)
    if entry is not None and entry.when is not None:
        rule, remedy = "must be part of every trial", "leave `when` out"
        yield draft.document.problem(("space", name, "when"), rule, remedy=remedy)


def _objectives(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    objectives = draft.objective or ()
    metrics = [objective.metric for objective in objectives]
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            yield say(("objective", index, "metric"), "must differ from the objectives before it")
    pruner = draft.pruner
    if pruner is None or not metrics:
        return
    if pruner.metric is not None and pruner.metric not in metrics:
        remedy = nearest.remedy(pruner.metric, metrics)
        yield say(("pruner", "metric"), "must be the metric of an objective", remedy=remedy)
    if pruner.metric is None and len(metrics) > 1 and pruner.name != "none":
        rule, remedy = "must be named with several objectives", f"add metric: {metrics[0]}, say"
        yield say(("pruner", "metric"), rule, "none", remedy)


def _sampler(draft: Draft) -> Iterator[Problem]:
    if draft.sampler is None:
        return
    say = draft.document.problem
    if draft.sampler.name == "cmaes" and len(draft.objective or ()) > 1:
        yield say(
            ("sampler", "name"), "must not be cmaes with several objectives", remedy="use nsgaii or tpe"
        )
    if draft.sampler.name != "grid":
        return
    for name, entry in draft.space.items():
        if isinstance(entry, FloatRange) and entry.step is None:
            remedy = "give it a step or choices, or use another sampler"
            yield say(("space", name), "must be countable for the grid sampler", "a continuous range", remedy)
        if entry.when is not None:
            remedy = "leave it out, or use another sampler"
            yield say(("space", name, "when"), "must not stand with the grid sampler", remedy=remedy)
    for index, point in enumerate(draft.enqueue):
        if open_names := sorted(draft.space_names - set(point)):
            remedy = f"add {', '.join(open_names)}"
            yield say(("enqueue", index), "must name all of `space` with the grid sampler", remedy=remedy)


def _stop(draft: Draft) -> Iterator[Problem]:
    if draft.stop is None or len(draft.objective or ()) < 2:
        return
    for name in ("target", "patience", "terminator"):
        if getattr(draft.stop, name) is not None:
            rule, remedy = "must not stand with several objectives", "use `budget` to end the study"
            yield draft.document.problem(("stop", name), rule, remedy=remedy)


def _require(draft: Draft) -> Iterator[Problem]:
    required = draft.require is not None and (draft.require.tags or draft.require.min_memory_bytes)
    if draft.cluster == "local" and required:
        rule, remedy = "must stand with a cluster", "name an inventory: cluster: lab.yaml, or leave it out"
        yield draft.document.problem(("require",), rule, "cluster: local", remedy)


def _space(draft: Draft) -> Iterator[Problem]:
    if isinstance(draft.document.at(("space",)), dict) and not draft.space_names:
        rule, remedy = "must name at least one hyperparameter", "add learning_rate, say"
        yield draft.document.problem(("space",), rule, "none", remedy)


RULES: tuple[Rule, ...] = (
    _space, _names, _ranges, _core, _conditions, _enqueue, _trial, _objectives, _sampler, _stop, _require,
)  # fmt: skip
