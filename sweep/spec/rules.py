"""The rules between values of a study file: functions from what could be read to the problems in it."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from configfile import nearest
from configfile.yamlfile import Document, Path, value_text
from sweep.errors import Problem
from sweep.spec.command.template import Arguments
from sweep.spec.conditions import Circle, can_hold, contains, dependency_order, holds, is_active, off_step
from sweep.spec.fields import MAX_COUNT
from sweep.spec.hyperparameters import CORE, LENGTH, WORDS, Numbers, Values, remedy
from sweep.spec.schema import (
    REPORT_EVERY,
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
from sweep.vocabulary.turn import Trainable


@dataclass(frozen=True)
class Draft:
    """The sections that could be read each on its own; None where one could not, missing entries left out.

    `space_names` and `fixed_names` are all names there, the unreadable ones too.
    """

    document: Document
    space_names: frozenset[str]
    fixed_names: frozenset[str]
    space: Mapping[str, Entry]
    fixed: Mapping[str, Scalar]
    earlier: Mapping[str, Scalar]
    enqueue: tuple[Mapping[str, Scalar], ...]
    objective: tuple[Objective, ...] | None
    trial: Trial | None
    trainable: Trainable
    command: Arguments | None
    metrics: Mapping[str, str] | None
    environment: Mapping[str, str | None] | None
    sampler: Sampler | None
    pruner: Pruner | None
    stop: Stop | None
    cluster: str | None
    require: Require | None


LENGTHS: Mapping[str, Numbers] = {
    "epochs": Numbers(0, 1e9, low_included=False),
    "examples": Numbers(1, MAX_COUNT, integer=True),
    "updates": Numbers(1, MAX_COUNT, integer=True),
}

Rule = Callable[[Draft], Iterator[Problem]]


def problems(draft: Draft) -> Iterator[Problem]:
    """Everything in the draft that breaks a rule."""
    for rule in RULES:
        yield from rule(draft)


def _names(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    read_by_attribute = draft.trainable is Trainable.TASK
    for section, names in (("space", draft.space_names), ("fixed", draft.fixed_names)):
        for name in sorted(names) if read_by_attribute else ():
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                what = f"{value_text(name)} is no name that a task can read as `hp.name`"
                yield say((section, name), what, "", "use letters, digits and _")
    for name in sorted(draft.space_names & draft.fixed_names):
        what = f"is also in `space`, on line {draft.document.line(('space', name))}"
        yield say(("fixed", name), what, "", "keep one of them")


def _ranges(draft: Draft) -> Iterator[Problem]:
    for name, entry in draft.space.items():
        if isinstance(entry, Choices):
            yield from _choices(draft.document, ("space", name), entry)
        else:
            yield from _range(draft.document, ("space", name), entry)


def _range(document: Document, path: Path, entry: IntRange | FloatRange) -> Iterator[Problem]:
    if isinstance(entry, FloatRange) and not isfinite(entry.high - entry.low):
        yield document.problem((*path, "high"), "is too far from low for a range of numbers")
    if entry.low == entry.high:
        hint = f"write {path[-1]}: {entry.low} in `fixed`"
        yield document.problem((*path, "low"), f"low and high are both {entry.low}", "", hint)
    elif entry.low > entry.high:
        what = f"low {entry.low} is above high {entry.high}"
        yield document.problem((*path, "low"), what, "", "exchange them")
    if entry.log and entry.low <= 0:
        hint = "raise low, or remove `log`"
        yield document.problem((*path, "low"), "must be above 0 with `log: true`", remedy=hint)
    stepped = entry.step is not None and "step" in entry.model_fields_set
    if stepped and entry.step is not None and entry.low < entry.high:
        low, high, step = (Fraction(repr(number)) for number in (entry.low, entry.high, entry.step))
        if (high - low) % step:
            last = high - (high - low) % step
            what = f"step {entry.step} does not divide the range from {entry.low} to {entry.high}"
            nearest_high = int(last) if isinstance(entry, IntRange) else float(last)
            hint = f"write high: {nearest_high}" if last > low else "choose a smaller step"
            yield document.problem((*path, "step"), what, "", hint)


def _choices(document: Document, path: Path, entry: Choices) -> Iterator[Problem]:
    if not entry.choices:
        yield document.problem((*path, "choices"), "is empty", "", "list at least one value")
    for index, choice in enumerate(entry.choices):
        if choice in entry.choices[:index]:
            what = f"{value_text(choice)} is listed twice"
            yield document.problem((*path, "choices", index), what, "", "remove one of them")


def _core(draft: Draft) -> Iterator[Problem]:
    for name, core in CORE.items() if draft.trainable is Trainable.TASK else ():
        if name in draft.fixed:
            yield from _core_value(draft.document, ("fixed", name), core, draft.fixed[name])
        path: Path = ("space", name)
        match draft.space.get(name):
            case Choices(choices=choices):
                for index, choice in enumerate(choices):
                    yield from _core_value(draft.document, (*path, "choices", index), core, choice)
            case IntRange() | FloatRange() as entry if name in WORDS:
                found = f"a range from {entry.low} to {entry.high}"
                yield draft.document.problem(path, f"must be {core.rule}", found, "write {choices: [...]}")
            case IntRange() | FloatRange() as entry:
                yield from _core_value(draft.document, (*path, "low"), core, entry.low)
                yield from _core_value(draft.document, (*path, "high"), core, entry.high)


def _lengths(draft: Draft) -> Iterator[Problem]:
    """A name that is the length of a task's trial is one of the units of `trial.length`."""
    if draft.trainable is not Trainable.TASK:
        return
    for name, values in LENGTHS.items():
        if name in draft.fixed:
            yield from _core_value(draft.document, ("fixed", name), values, draft.fixed[name])
        path: Path = ("space", name)
        entry = draft.space.get(name)
        match entry:
            case Choices(choices=choices):
                for index, choice in enumerate(choices):
                    yield from _core_value(draft.document, (*path, "choices", index), values, choice)
            case IntRange() | FloatRange():
                yield from _core_value(draft.document, (*path, "low"), values, entry.low)
                yield from _core_value(draft.document, (*path, "high"), values, entry.high)
        if entry is not None and entry.when is not None:
            yield draft.document.problem((*path, "when"), "every trial needs a length", "", "remove `when`")
    yield from _one_length(draft)


def _one_length(draft: Draft) -> Iterator[Problem]:
    given = [(section, name) for name in LENGTH for section, names in _named(draft) if name in names]
    if draft.trial is not None and draft.trial.length is not None:
        given.insert(0, ("trial", "length"))
    if len(given) > 1:
        places = " and ".join(".".join(place) for place in given)
        what = f"is a trial's length, which is given in {places}"
        yield draft.document.problem(given[1], what, "", "keep one of them")
    elif not given and draft.trial is not None:
        yield draft.document.problem(("trial", "length"), "is missing", "", "add length: {epochs: 20}")


def _named(draft: Draft) -> tuple[tuple[str, frozenset[str]], ...]:
    return ("space", draft.space_names), ("fixed", draft.fixed_names)


def _core_value(document: Document, path: Path, core: Values, value: Scalar) -> Iterator[Problem]:
    if not core.accepts(value):
        yield document.problem(path, f"must be {core.rule}", remedy=remedy(core, value))


def _conditions(draft: Draft) -> Iterator[Problem]:
    document = draft.document
    for name, entry in draft.space.items():
        for parent, condition in (entry.when or {}).items():
            path: Path = ("space", name, "when", parent)
            if parent in draft.fixed:
                if not holds(condition, draft.fixed[parent]):
                    what = f"never holds, as {parent} is {value_text(draft.fixed[parent])} in `fixed`"
                    yield document.problem(path, what, "", f"remove {name} from `space`")
            elif parent in draft.space:
                if not can_hold(condition, draft.space[parent]):
                    hint = f"choose from the values of {parent}"
                    yield document.problem(path, f"{parent} can never have this value", remedy=hint)
            elif parent not in draft.space_names | draft.fixed_names:
                hint = nearest.remedy(parent, sorted(draft.space_names - {name}))
                yield document.problem(path, f"`space` has no {parent}", "", hint)
    try:
        dependency_order(draft.space)
    except Circle as circle:
        path = ("space", circle.names[0], "when")
        yield document.problem(path, f"waits for itself: {circle}", "", "remove one of these conditions")


def _enqueue(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    for index, point in enumerate(draft.enqueue):
        for name, value in point.items():
            path: Path = ("enqueue", index, name)
            entry = draft.space.get(name)
            if name not in draft.space_names:
                yield say(
                    path,
                    f"`space` has no {name}",
                    "",
                    nearest.remedy(name, draft.space_names),
                )
            elif entry is not None and not contains(entry, value):
                yield say(path, f"must be within space.{name}")
            elif entry is not None and (near := off_step(entry, value)):
                what = f"is not a step of space.{name}"
                yield say(path, what, None, f"write {' or '.join(map(str, near))}")
            elif entry is not None and _known_inactive(entry, draft, point):
                yield say(path, "does not apply, as its `when` does not hold", "", "remove it")


def _known_inactive(entry: Entry, draft: Draft, point: Mapping[str, Scalar]) -> bool:
    """A condition on a value that the point leaves open may still hold."""
    values = {**draft.fixed, **point}
    return set(entry.when or ()) <= set(values) and not is_active(entry, values)


def _earlier(draft: Draft) -> Iterator[Problem]:
    for name in draft.earlier:
        if name not in draft.space_names | draft.fixed_names:
            hint = nearest.remedy(name, draft.space_names)
            yield draft.document.problem(("earlier", name), f"`space` has no {name}", "", hint)


def _trial(draft: Draft) -> Iterator[Problem]:
    if draft.trial is None:
        return
    say, trial = draft.document.problem, draft.trial
    if draft.trainable is not Trainable.TASK:
        yield from _open_length(draft, trial)
        return
    for name in LENGTH:
        length, every = getattr(trial.length, name, None), getattr(trial.report_every, name)
        if length is not None and every is not None and every > length:
            what = f"is longer than the trial: {every} of {length} {name}"
            yield say(("trial", "report_every"), what, "", "report more often")
    varied = [name for name in ("accumulation_steps", "micro_batch_size") if name in draft.space_names]
    if trial.report_every.updates is not None and varied:
        what = f"`updates` is another number of examples in each trial, as {' and '.join(varied)} varies"
        yield say(("trial", "report_every"), what, "", "give it in epochs or examples")
    yield from _micro_batch(draft, trial)


def _open_length(draft: Draft, trial: Trial) -> Iterator[Problem]:
    """A function or a command reports and ends when it likes; what the study says of it is in examples."""
    say = draft.document.problem
    if trial.length is not None and trial.length.examples is None:
        what = f"the length of a {draft.trainable} is in examples, as it reports them"
        yield say(("trial", "length"), what, "", "write length: {examples: 1000}, or remove it")
    if trial.report_every != REPORT_EVERY and trial.report_every.examples is None:
        what = f"a {draft.trainable} reports when it likes; pruners need to know how many examples that is"
        yield say(("trial", "report_every"), what, "", "write report_every: {examples: 100}, or remove it")
    pruner = draft.pruner
    if trial.length is None and pruner is not None and pruner.name == "hyperband":
        what = "is missing: hyperband needs to know how long a trial can be"
        yield say(("trial", "length"), what, "", "add length: {examples: 1000}, or choose another pruner")


def _micro_batch(draft: Draft, trial: Trial) -> Iterator[Problem]:
    name = "micro_batch_size"
    places = [("trial", name)] if trial.micro_batch_size is not None else []
    places += [("space", name)] if name in draft.space_names else []
    places += [("fixed", name)] if name in draft.fixed_names else []
    if len(places) != 1:
        given = " and ".join(".".join(place) for place in places)
        what, hint = (
            (f"is given in {given}", "keep one of them") if given else ("is missing", f"add {name}: 32")
        )
        yield draft.document.problem(places[0] if places else ("trial", name), what, "", hint)
    entry = draft.space.get(name)
    if entry is not None and entry.when is not None:
        yield draft.document.problem(("space", name, "when"), "every trial needs it", "", "remove `when`")


def _objectives(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    objectives = draft.objective or ()
    metrics = [objective.metric for objective in objectives]
    for index, metric in enumerate(metrics):
        if metric in metrics[:index]:
            yield say(("objective", index, "metric"), f"{metric} is listed twice", "", "remove one of them")
    pruner = draft.pruner
    if pruner is None or not metrics:
        return
    if pruner.metric is not None and pruner.metric not in metrics:
        hint = nearest.remedy(pruner.metric, metrics)
        yield say(("pruner", "metric"), f"no objective has the metric `{pruner.metric}`", "", hint)
    if pruner.metric is None and len(metrics) > 1 and pruner.name != "none":
        what = "is missing: with several objectives the pruner judges one"
        yield say(("pruner", "metric"), what, "", f"add metric: {metrics[0]}, or another")


def _patience(draft: Draft) -> Iterator[Problem]:
    if draft.trial is not None and draft.trial.patience is not None and len(draft.objective or ()) > 1:
        what = "goes by one objective, and there are several"
        yield draft.document.problem(("trial", "patience"), what, "", "remove it, or all objectives but one")


def _sampler(draft: Draft) -> Iterator[Problem]:
    if draft.sampler is None:
        return
    say = draft.document.problem
    if draft.sampler.name == "cmaes" and len(draft.objective or ()) > 1:
        yield say(("sampler", "name"), "cmaes takes one objective only", "", "use nsgaii or tpe")
    if draft.sampler.name != "grid":
        return
    for name, entry in draft.space.items():
        if isinstance(entry, FloatRange) and entry.step is None:
            hint = "give it a step or choices, or use another sampler"
            yield say(("space", name), "the grid sampler cannot list a continuous range", "", hint)
        if entry.when is not None:
            hint = "remove it, or use another sampler"
            yield say(("space", name, "when"), "the grid sampler takes no conditions", "", hint)
    for index, point in enumerate(draft.enqueue):
        if open_names := sorted(draft.space_names - set(point)):
            hint = f"add {', '.join(open_names)}"
            yield say(
                ("enqueue", index), "the grid sampler needs a value for every entry of `space`", "", hint
            )


def _stop(draft: Draft) -> Iterator[Problem]:
    if draft.stop is None or len(draft.objective or ()) < 2:
        return
    for name in ("target", "patience", "terminator"):
        if getattr(draft.stop, name) is not None:
            what, hint = "works with one objective only", "use `budget` to end the study"
            yield draft.document.problem(("stop", name), what, "", hint)


def _require(draft: Draft) -> Iterator[Problem]:
    required = draft.require is not None and (draft.require.tags or draft.require.min_memory_bytes)
    if draft.cluster == "local" and required:
        what, hint = "applies to clusters only, and `cluster` is local", "add cluster: lab.yaml, or remove it"
        yield draft.document.problem(("require",), what, "", hint)


def _space(draft: Draft) -> Iterator[Problem]:
    if isinstance(draft.document.at(("space",)), dict) and not draft.space_names:
        yield draft.document.problem(
            ("space",), "is empty", "", "add a hyperparameter, such as learning_rate"
        )


RULES: tuple[Rule, ...] = (
    _space, _names, _ranges, _core, _lengths, _conditions, _enqueue, _earlier, _trial, _objectives, _patience,
    _sampler, _stop, _require,
)  # fmt: skip
