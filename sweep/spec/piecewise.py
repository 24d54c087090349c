"""`trial.piecewise`: hyperparameters that change while a trial trains, at boundaries that the file names.

A piece may name the trial under whose key it draws. So a member's way through a population is a study file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from configfile import nearest
from configfile.yamlfile import Path
from sweep.errors import Problem
from sweep.spec.hyperparameters import CORE, LENGTH, STATIC, WORDS
from sweep.spec.population.settings import NAME as POPULATION
from sweep.spec.resolve import extent_examples, extent_of, with_fixed
from sweep.spec.rules import Draft
from sweep.spec.schema import Choices, Extent, FloatRange, IntRange, Piece, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Scalar, Stretch, TrialPlan
from sweep.vocabulary.turn import Trainable

_AT: Path = ("trial", "piecewise")


def in_pieces(spec: StudySpec, plan: TrialPlan, train_examples: int) -> TrialPlan:
    """The plan with the study file's pieces as stretches, each under its key; the same plan without any."""
    if not spec.trial.piecewise:
        return plan
    own, past, last = plan.hyperparameters, [], Piece()
    for piece in spec.trial.piecewise:
        if piece.until is None:
            last = piece
        else:
            seen = _seen(piece.until, train_examples, own)
            past.append(Stretch(seen, _key(piece, plan), {**own, **piece.values}))
    return replace(
        plan, past=tuple(past), hyperparameters={**own, **last.values}, key_number=_key(last, plan)
    )


def _seen(until: Extent, train_examples: int, hyperparameters: Mapping[str, Scalar]) -> int:
    """How many examples a trial has seen at the end of a piece: the last micro-batch may go beyond it."""
    micro_batch = hyperparameters["micro_batch_size"]
    assert isinstance(micro_batch, int), "sweep.spec.hyperparameters admits integers only"
    return -(-extent_examples(until, train_examples, hyperparameters) // micro_batch) * micro_batch


def _key(piece: Piece, plan: TrialPlan) -> int:
    return plan.number if piece.key is None else piece.key


def problems(draft: Draft) -> Iterator[Problem]:
    """What is wrong with the pieces by the file alone."""
    if draft.trial is None or not draft.trial.piecewise:
        return
    say = draft.document.problem
    if draft.trainable is not Trainable.TASK:
        what = f"a {draft.trainable} is given its hyperparameters once, when it begins"
        yield say(_AT, what, "", "remove it, or write the task as a class")
    if draft.sampler is not None and draft.sampler.name == POPULATION:
        yield say(_AT, "pbt changes hyperparameters itself", "", "remove it, or use another sampler")
    if draft.document.has(("extends",)):
        yield say(_AT, "trials that are extended have the keys of others already", "", "remove `extends`")
    yield from _ends(draft, draft.trial.piecewise)
    for index, piece in enumerate(draft.trial.piecewise):
        for name, value in piece.values.items():
            yield from _value(draft, (*_AT, index, "values", name), name, value)


def _ends(draft: Draft, pieces: tuple[Piece, ...]) -> Iterator[Problem]:
    say = draft.document.problem
    for index, piece in enumerate(pieces):
        path = (*_AT, index, "until")
        if piece.until is None and index < len(pieces) - 1:
            yield say((*_AT, index), "has no `until`, and only the last piece may last to the end", "")
        if piece.until is not None and piece.until.updates is not None:
            yield say(path, "must be in epochs or examples, as reports are")
    for index, (one, other) in enumerate(pairwise(pieces), start=1):
        for unit in ("epochs", "examples"):
            before, after = getattr(one.until, unit, None), getattr(other.until, unit, None)
            if before is not None and after is not None and after <= before:
                what = f"is not after the piece before, which ends at {before:g} {unit}"
                yield say((*_AT, index, "until"), what, "", "write pieces in order")


def _value(draft: Draft, path: Path, name: str, value: Scalar) -> Iterator[Problem]:
    say = draft.document.problem
    if name in STATIC or name in LENGTH:
        yield say(path, _STATIC, "", f"write {name} in `fixed`")
    elif name == "gradient_clip" and not value:
        yield say(path, "off is another program, and a trial has one", "", "write a number above 0")
    elif (rule := CORE.get(name)) is not None and not rule.accepts(value):
        yield say(path, f"must be {rule.rule}")


_STATIC = "is the same for a whole trial: it is part of the compiled program, or its length"


def problems_with_task(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """What only the task can tell: which hyperparameters are static, and where a trial reports."""
    say = spec.document.problem
    for index, piece in enumerate(spec.trial.piecewise):
        for name, value in piece.values.items():
            path = (*_AT, index, "values", name)
            if name in description.static:
                yield say(path, _STATIC, "", f"write {name} in `fixed`")
            elif name in description.switches and not _is_on(spec, name):
                yield say(path, "is off elsewhere, which is another program", "", f"add {name} to `fixed`")
            elif name not in {*CORE, *description.dynamic}:
                what = f"`{name}` is read neither by the training core nor by the task"
                yield say(path, what, "", nearest.remedy(name, sorted({*CORE, *description.dynamic})))
            elif name not in WORDS and (isinstance(value, bool) or not isinstance(value, int | float)):
                yield say(path, "must be a number, as it is not static")
    if spec.trial.piecewise:
        yield from _boundaries(spec, description)


def _is_on(spec: StudySpec, name: str) -> bool:
    return name in spec.space or bool(spec.fixed.get(name))


def _boundaries(spec: StudySpec, description: Description) -> Iterator[Problem]:
    """Pieces end where trials report: there a worker may change them."""
    say, examples = spec.document.problem, description.train_examples
    least = _least(spec)
    every = extent_examples(spec.trial.report_every, examples, least)
    length = extent_examples(extent_of(spec, least), examples, least)
    for index, piece in enumerate(spec.trial.piecewise):
        if piece.until is None or piece.until.updates is not None:
            continue
        path, until = (*_AT, index, "until"), extent_examples(piece.until, examples, {})
        if until % every:
            what = f"is {until} examples, and trials report every {every}: no multiple of it"
            yield say(path, what, "", "end pieces where trials report, or report more often")
        elif until >= length:
            what = f"is {until} examples, and a trial may end after {length}"
            yield say(path, what, "", "remove `until` from the last piece, or train for longer")


def _least(spec: StudySpec) -> dict[str, Scalar]:
    """Hyperparameters of the shortest trial, as far as they say how long it is."""
    least: dict[str, Scalar] = {}
    for name in ("accumulation_steps", "micro_batch_size", *LENGTH):
        match spec.space.get(name):
            case Choices(choices=choices):
                least[name] = min(each for each in choices if isinstance(each, int | float))
            case IntRange(low=low) | FloatRange(low=low):
                least[name] = low
    return with_fixed(spec, least)
