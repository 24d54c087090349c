"""From a proposal to a plan: all hyperparameters of a trial, its program's signature, its length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, product

from sweep.spec.conditions import dependency_order, is_active
from sweep.spec.resolve import resolve_length, with_fixed
from sweep.spec.schema import Choices, Entry, IntRange, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Length, Scalar, Signature, TrialPlan

MAX_PROGRAMS = 1000
"""More programs are counted as this many."""


def plan(spec: StudySpec, description: Description, number: int, params: Mapping[str, Scalar]) -> TrialPlan:
    """What to train for a proposal. Raises SpecError where the trial would end before its first report."""
    hyperparameters = with_fixed(spec, params)
    return TrialPlan(
        number=number,
        seed=spec.seed,
        hyperparameters=hyperparameters,
        signature=signature(hyperparameters, description),
        length=resolve_length(spec, description.train_examples, hyperparameters),
    )


def signature(hyperparameters: Mapping[str, Scalar], description: Description) -> Signature:
    """The hyperparameters that shape the program, sorted; of a switch only whether it is on."""
    shaping = {name: hyperparameters[name] for name in description.static if name in hyperparameters}
    shaping |= {name: bool(hyperparameters.get(name)) for name in description.switches}
    return tuple(sorted(shaping.items()))


def listed_values(spec: StudySpec, name: str) -> tuple[Scalar, ...]:
    """The values that a hyperparameter can take, where they can be listed."""
    if name in spec.fixed:
        return (spec.fixed[name],)
    match spec.space.get(name):
        case Choices(choices=choices):
            return choices
        case IntRange(low=low, high=high, step=step):
            return tuple(range(low, high + 1, step))
        case _:
            return ()


def programs(spec: StudySpec, description: Description) -> tuple[Signature, ...]:
    """The signature of every program that the study can need, at most MAX_PROGRAMS."""
    return tuple(islice(_programs(spec, description), MAX_PROGRAMS))


def _programs(spec: StudySpec, description: Description) -> Iterator[Signature]:
    names = [name for name in description.static if name in spec.space]
    seen: set[Signature] = set()
    for combination in product(*(listed_values(spec, name) for name in names)):
        values = {**spec.fixed, **dict(zip(names, combination, strict=True))}
        params = {name: values[name] for name in names if is_active(spec.space[name], values)}
        made = signature(with_fixed(spec, params), description)
        if made not in seen:
            seen.add(made)
            yield made


def sample_values(spec: StudySpec) -> dict[str, Scalar]:
    """One set of hyperparameters that the study could try: first choices and lower ends."""
    return with_fixed(spec, _params(spec, _first))


def longest(spec: StudySpec, description: Description) -> Length:
    """The longest that a trial of the study can be, and its report interval, in examples."""
    return resolve_length(spec, description.train_examples, with_fixed(spec, _params(spec, _greatest)))


def _params(spec: StudySpec, pick: Callable[[Entry], Scalar]) -> dict[str, Scalar]:
    values: dict[str, Scalar] = dict(spec.fixed)
    for name in dependency_order(spec.space):
        entry = spec.space[name]
        if is_active(entry, values):
            values[name] = pick(entry)
    return {name: value for name, value in values.items() if name in spec.space}


def _first(entry: Entry) -> Scalar:
    return entry.choices[0] if isinstance(entry, Choices) else entry.low


def _greatest(entry: Entry) -> Scalar:
    if not isinstance(entry, Choices):
        return entry.high
    numbers = [choice for choice in entry.choices if isinstance(choice, int | float)]
    return max(numbers) if len(numbers) == len(entry.choices) else entry.choices[0]
