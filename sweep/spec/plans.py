"""From a proposal to a plan: all hyperparameters of a trial, its program's signature, its length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sweep.spec.conditions import dependency_order, holds, is_active
from sweep.spec.piecewise import in_pieces
from sweep.spec.points import listed, size_of
from sweep.spec.resolve import resolve_length, with_fixed
from sweep.spec.schema import Choices, Entry, StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import Length, Scalar, Signature, TrialPlan

MAX_PROGRAMS = 1000
"""More programs are counted as this many."""

MAX_SHAPES = 100 * MAX_PROGRAMS
"""So many combinations are looked at; equal ones are few."""


def plan(
    spec: StudySpec,
    description: Description,
    number: int,
    params: Mapping[str, Scalar],
    *,
    asked: Mapping[str, Scalar] | None = None,
) -> TrialPlan:
    """What to train for a proposal, or for a trial that was `asked` with all these hyperparameters before.

    Raises SpecError where the trial would end before its first report.
    """
    hyperparameters = with_fixed(spec, params) if asked is None else dict(asked)
    made = TrialPlan(
        number=number,
        seed=spec.seed,
        hyperparameters=hyperparameters,
        signature=signature(hyperparameters, description),
        length=resolve_length(spec, description.train_examples, hyperparameters),
    )
    return in_pieces(spec, made, description.train_examples)


def signature(hyperparameters: Mapping[str, Scalar], description: Description) -> Signature:
    """The hyperparameters that shape the program, sorted; of a switch only whether it is on."""
    shaping = {name: hyperparameters[name] for name in description.static if name in hyperparameters}
    shaping |= {name: bool(hyperparameters.get(name)) for name in description.switches}
    return tuple(sorted(shaping.items()))


def listed_values(spec: StudySpec, name: str) -> Sequence[Scalar]:
    """The values that a hyperparameter can take, in order; nothing where they cannot be listed."""
    if name in spec.fixed:
        return (spec.fixed[name],)
    entry = spec.space.get(name)
    return () if entry is None or size_of(entry) is None else listed(entry)


def programs(spec: StudySpec, description: Description) -> tuple[Signature, ...]:
    """The signature of every program that the study can need, at most MAX_PROGRAMS."""
    shaping = {*description.static, *description.switches}
    names = [name for name in dependency_order(spec.space) if name in shaping]
    made = (signature(with_fixed(spec, params), description) for params in _shapes(spec, names, description))
    return tuple(islice(dict.fromkeys(islice(made, MAX_SHAPES)), MAX_PROGRAMS))


def sample_plans(spec: StudySpec, description: Description) -> tuple[TrialPlan, ...]:
    """A trial of each program that the study can need, at most MAX_PROGRAMS: first choices and lower ends."""
    shaping = {*description.static, *description.switches}
    names = [name for name in dependency_order(spec.space) if name in shaping]
    found: dict[Signature, TrialPlan] = {}
    for params in islice(_shapes(spec, names, description), MAX_SHAPES):
        made = plan(spec, description, 0, _params(spec, _first, params))
        found.setdefault(made.signature, made)
        if len(found) == MAX_PROGRAMS:
            break
    return tuple(found.values())


def _shapes(
    spec: StudySpec,
    names: Sequence[str],
    description: Description,
    params: Mapping[str, Scalar] | None = None,
) -> Iterator[Mapping[str, Scalar]]:
    """Every combination of the values that shape a program; an entry applies where its `when` can hold."""
    params = params or {}
    if not names:
        yield params
        return
    name, rest = names[0], names[1:]
    entry = spec.space[name]
    known = {
        parent: each for parent, each in (entry.when or {}).items() if _is_known(spec, parent, description)
    }
    values = {**spec.fixed, **params}
    applies = all(parent in values and holds(each, values[parent]) for parent, each in known.items())
    if not applies or len(known) < len(entry.when or ()):
        yield from _shapes(spec, rest, description, params)
    if applies:
        for value in _shaping_values(entry, is_switch=name in description.switches):
            yield from _shapes(spec, rest, description, {**params, name: value})


def _is_known(spec: StudySpec, name: str, description: Description) -> bool:
    """Whether a name's value is known when shapes are listed; others may be anything."""
    return name in spec.fixed or name in description.static


def _shaping_values(entry: Entry, *, is_switch: bool) -> Iterable[Scalar]:
    """The values that make programs of their own; of a switch one that is on and one that is off."""
    if not is_switch and size_of(entry) is None:
        assert not isinstance(entry, Choices)
        width = entry.high - entry.low
        return (entry.low + width * place / MAX_PROGRAMS for place in range(MAX_PROGRAMS))
    if not is_switch:
        return listed(entry)
    values = entry.choices if isinstance(entry, Choices) else (entry.low, entry.high)
    return {bool(value): value for value in values}.values()


def sample_values(spec: StudySpec) -> dict[str, Scalar]:
    """One set of hyperparameters that the study could try: first choices and lower ends."""
    return with_fixed(spec, _params(spec, _first))


def greatest_values(spec: StudySpec) -> dict[str, Scalar]:
    """Another set that it could try: the greatest choices and upper ends."""
    return with_fixed(spec, _params(spec, _greatest))


def longest(spec: StudySpec, description: Description) -> Length:
    """The longest that a trial of the study can be, and its report interval, in examples."""
    return resolve_length(spec, description.train_examples, greatest_values(spec))


def _params(
    spec: StudySpec, pick: Callable[[Entry], Scalar], given: Mapping[str, Scalar] | None = None
) -> dict[str, Scalar]:
    """Values of the space as picked, but those that are given."""
    given = given or {}
    values: dict[str, Scalar] = dict(spec.fixed)
    for name in dependency_order(spec.space):
        entry = spec.space[name]
        if is_active(entry, values):
            values[name] = given[name] if name in given else pick(entry)
    return {name: value for name, value in values.items() if name in spec.space}


def _first(entry: Entry) -> Scalar:
    return entry.choices[0] if isinstance(entry, Choices) else entry.low


def _greatest(entry: Entry) -> Scalar:
    if not isinstance(entry, Choices):
        return entry.high
    numbers = [choice for choice in entry.choices if isinstance(choice, int | float)]
    return max(numbers) if len(numbers) == len(entry.choices) else entry.choices[0]
