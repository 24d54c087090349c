"""What a study with a population cannot have, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from configfile import validation
from sweep.errors import Problem
from sweep.spec.population.settings import NAME, Population, interval_of, micro_batch_size
from sweep.spec.resolve import extent_examples
from sweep.spec.rules import Draft
from sweep.spec.schema import Choices, Extent, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.turn import Trainable


def problems(draft: Draft) -> Iterator[Problem]:
    """What a study file with a population can not have, each with the reason."""
    if draft.sampler is None or draft.sampler.name != NAME:
        return
    say, found = draft.document.problem, None
    try:
        found = Population.model_validate(dict(draft.sampler.arguments))
    except ValidationError as error:
        yield from validation.problems(draft.document, ("sampler",), error, _known)
    if draft.trainable is not Trainable.TASK:
        what = f"pbt copies the state of one trial to another, and a {draft.trainable} keeps its own"
        yield say(("sampler", "name"), what, "", "write the task as a class, or use another sampler")
    if len(draft.objective or ()) > 1:
        what = "pbt goes by one objective, and there are several"
        yield say(("sampler", "name"), what, "", "remove all objectives but one, or use nsgaii")
    if draft.pruner is not None and draft.pruner.name != "none":
        what = "pbt has worse members copy better ones, and a pruner would end them"
        yield say(("pruner", "name"), what, "", "remove `pruner`, or use another sampler")
    if draft.trial is not None and draft.trial.replicates > 1:
        what = "a member of a population is one run"
        yield say(("trial", "replicates"), what, "", "remove it; more members average as well")
    if draft.trial is not None and draft.trial.patience is not None:
        what = "pbt has worse members copy better ones, and `patience` would end them"
        yield say(("trial", "patience"), what, "", "remove it")
    yield from _space(draft)
    if found is not None:
        yield from _budget(draft, found)
        yield from _interval(draft, found)


def _space(draft: Draft) -> Iterator[Problem]:
    say = draft.document.problem
    for name, entry in draft.space.items():
        if name in ("micro_batch_size", "epochs", "examples", "updates"):
            what = "all members of a population train alike, so that each can take the place of another"
            yield say(("space", name), what, "", f"write {name} in `fixed`")
        elif name in ("optimizer", "precision"):
            yield say(("space", name), _STATIC, "", f"write {name} in `fixed`")
        elif name == "gradient_clip" and isinstance(entry, Choices) and not all(entry.choices):
            what = "pbt changes it while members train, and off is another program"
            yield say(("space", name), what, "", "list values above 0 only")
        if entry.when is not None:
            what = "pbt changes what it depends on while members train"
            yield say(("space", name, "when"), what, "", "remove it, or use another sampler")


_STATIC = "pbt changes hyperparameters while members train, and this one is part of the compiled program"


def _budget(draft: Draft, found: Population) -> Iterator[Problem]:
    budget: Any = draft.document.at(("budget",)) if draft.document.has(("budget",)) else None
    trials = budget.get("trials") if isinstance(budget, dict) else None
    if found.population is None and trials is None:
        yield draft.document.problem(("sampler",), "has no population", "", "add population: 32")
    elif None not in (found.population, trials) and found.population != trials:
        what = f"the members are the trials, and sampler.population is {found.population}"
        yield draft.document.problem(("budget", "trials"), what, None, "remove one of them")


def _interval(draft: Draft, found: Population) -> Iterator[Problem]:
    if draft.trial is None:
        return
    path = ("sampler", "interval")
    varied = "accumulation_steps" in draft.space_names
    if found.interval.updates is not None and varied:
        what = "`updates` is another number of examples in each trial, as accumulation_steps varies"
        yield draft.document.problem(path, what, "", "give it in epochs or examples")
    for name in ("epochs", "examples", "updates"):
        own, every = getattr(found.interval, name), getattr(draft.trial.report_every, name)
        if own is not None and every is not None and not _is_multiple(own, every):
            what = f"is no multiple of trial.report_every, which is {every:g} {name}"
            yield draft.document.problem(path, what, "", f"write interval: {{{name}: {every:g}}}")


def _is_multiple(long: float, short: float) -> bool:
    return long >= short and abs(long / short - round(long / short)) < 1e-9


def _known(path: tuple[str | int, ...]) -> list[str]:
    of = Extent if "interval" in path[:-1] else Population
    return [*(() if of is Extent else ("name",)), *of.model_fields]


def problems_with_task(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """What only the task can tell: which hyperparameters are static, and how long an epoch is."""
    interval = interval_of(spec, description)
    if interval is None:
        return
    say = spec.document.problem
    for name in spec.space:
        if name in description.static and name not in ("optimizer", "precision", "micro_batch_size"):
            yield say(("space", name), _STATIC, "", f"write {name} in `fixed`")
    every = extent_examples(spec.trial.report_every, description.train_examples, spec.fixed)
    if every < micro_batch_size(spec):
        what = f"is {every} examples, less than a micro-batch: members would pass two decisions at once"
        yield say(("trial", "report_every"), what, "", "report less often")
    if interval % every:
        what = f"is {interval} examples, and trial.report_every is {every}: no multiple of it"
        yield say(("sampler", "interval"), what, "", "write both in one unit")
