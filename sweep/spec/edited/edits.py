"""A study's space, edited between two sessions: what cannot be meant, and what earlier trials are in it.

The log holds every edit, so that it is known in which space each trial was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from configfile.yamlfile import value_text
from sweep.spec.conditions import entry_text
from sweep.spec.edited.differences import Difference, differences
from sweep.spec.edited.fitting import Fit, Fitting, entry_of, nearest
from sweep.spec.resolve import resolved
from sweep.spec.schema import Choices, Entry, StudySpec
from sweep.vocabulary.trial import Scalar

KEYS = ("space", "fixed", "earlier")
"""The keys that an edit changes."""

SHOWN = 4
"""Changes that a message lists."""

Values = Mapping[str, Any]
"""The keys of a study that an edit changes, as plain values."""


class Asked(Protocol):
    """A trial as the log has it; `edits` is how many there were when it was asked."""

    edits: int

    @property
    def params(self) -> Mapping[str, Scalar]: ...

    @property
    def hyperparameters(self) -> Mapping[str, Scalar]: ...


class Edited(NamedTuple):
    """How often a study's space was edited, and what trials of before are in it, by number."""

    edits: int = 0
    fits: Mapping[int, Fit] = {}


def values_of(spec: StudySpec) -> dict[str, Any]:
    """What an edit changes, as the log holds it."""
    values = resolved(spec)
    return {key: values.get(key, {}) for key in KEYS}


def with_values(spec: StudySpec, values: Values) -> StudySpec:
    """The study with the space that the log holds."""
    space = {name: entry_of(entry) for name, entry in values["space"].items()}
    return spec.model_copy(update={**values, "space": space})


def changes(before: StudySpec, after: StudySpec) -> list[Difference]:
    """What an edit changes; empty where there is none."""
    return differences(before, after, KEYS)


def changes_text(before: StudySpec, after: StudySpec) -> str:
    """The changes in one line, as of hyperparameters."""
    names = dict.fromkeys([*before.space, *after.space, *before.fixed, *after.fixed])
    found = [
        f"{name}: {_stands(before, name)} -> {_stands(after, name)}"
        for name in names
        if _has(before, name) != _has(after, name)
    ]
    found += _said_of_earlier(before, after)
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join([*found[:SHOWN], *more])


def _said_of_earlier(before: StudySpec, after: StudySpec) -> Iterator[str]:
    """What else trials are said to have had; what an entry brings that is new goes without saying."""
    for name in dict.fromkeys([*before.earlier, *after.earlier]):
        old, new = (_value_text(each.earlier, name) for each in (before, after))
        both = name in before.earlier and name in after.earlier
        if old != new and (both or _has(before, name) == _has(after, name)):
            yield f"earlier {name}: {old} -> {new}"


def _value_text(values: Mapping[str, Scalar], name: str) -> str:
    return value_text(values[name]) if name in values else "not there"


def _has(spec: StudySpec, name: str) -> str:
    """All that a study has of a hyperparameter, as text: to Python 1 and 1.0 are equal."""
    return repr((spec.space.get(name), spec.fixed.get(name), name in spec.fixed))


def _stands(spec: StudySpec, name: str) -> str:
    """What a study has of a hyperparameter, in a few words."""
    if name in spec.space:
        return entry_text(spec.space[name])
    return f"fixed at {value_text(spec.fixed[name])}" if name in spec.fixed else "not there"


def fitting(spec: StudySpec, edits: Sequence[Mapping[str, Values]]) -> Fitting:
    """Fits trials that were asked before the last edit into the study's space."""
    before: dict[str, Entry] = {}
    earlier: dict[str, Scalar] = {}
    for edit in edits:
        before |= {name: entry_of(entry) for name, entry in edit["before"]["space"].items()}
        earlier |= edit["before"]["earlier"]
    return Fitting(spec, before=before, earlier=earlier)


def edited(spec: StudySpec, edits: Sequence[Mapping[str, Values]], trials: Mapping[int, Asked]) -> Edited:
    """All trials that were asked before the last edit, in the space as it is now."""
    if not edits:
        return Edited()
    into = fitting(spec, edits)
    return Edited(
        len(edits),
        {
            number: into.fit(row.hyperparameters, row.hyperparameters)  # what was fixed may have been moved
            for number, row in trials.items()
            if row.edits < len(edits)
        },
    )


def refusals(before: StudySpec, after: StudySpec, trials: Sequence[Asked]) -> list[str]:
    """What of an edit cannot be meant, each with what to write; anything can before the first trial."""
    if not trials or not changes(before, after):
        return []
    for key in ("extends", "storage"):
        if getattr(after, key) is not None:
            return [f"space: cannot be edited with `{key}`. Start another study with `warm_start`"]
    return [
        *_fixed(before, after),
        *_gone(before, after, trials),
        *_new(before, after, trials),
        *_of_another_kind(before, after, trials),
    ]


def points_gone(before: StudySpec, after: StudySpec, asked: int) -> list[Difference]:
    """How `enqueue` differs; it may be emptied once all its points were tried."""
    if not after.enqueue and asked >= len(before.enqueue):
        return []
    return differences(before, after, ("enqueue",))


def _fixed(before: StudySpec, after: StudySpec) -> Iterator[str]:
    """A fixed value stays what it was for all trials: it may only move to `space`, or come from there."""
    for each in differences(before, after, ("fixed",)):
        name = each.key.removeprefix("fixed.")
        moved = name in after.space if each.new is None else name in before.space
        if not moved:
            yield f"{each.key}: was {each.old or 'not there'}, is {each.new or 'gone'}; all trials share it"


def _gone(before: StudySpec, after: StudySpec, trials: Sequence[Asked]) -> Iterator[str]:
    for name in before.space.keys() - after.space.keys() - after.fixed.keys():
        if any(name in each.params for each in trials):
            yield f"space.{name}: is gone, and trials were asked by it. Write fixed: {{{name}: VALUE}}"
    for name in before.earlier.keys() & after.space.keys() - after.earlier.keys():
        yield f"earlier.{name}: is gone, and trials are known by it. Write earlier: {{{name}: VALUE}}"


def _new(before: StudySpec, after: StudySpec, trials: Sequence[Asked]) -> Iterator[str]:
    for name in after.space.keys() - before.space.keys() - after.earlier.keys():
        if any(name not in each.hyperparameters for each in trials):
            yield f"space.{name}: is new. Write earlier: {{{name}: VALUE}}, the value of trials so far"


def _of_another_kind(before: StudySpec, after: StudySpec, trials: Sequence[Asked]) -> Iterator[str]:
    for name in before.space.keys() & after.space.keys():
        old, new = before.space[name], after.space[name]
        if isinstance(old, Choices) == isinstance(new, Choices):
            continue
        had = [each.hyperparameters[name] for each in trials if name in each.hyperparameters]
        if had and not any(nearest(new, value) for value in had):
            yield (
                f"space.{name}: is of another kind than it was, and no trial has a value in it. Fix {name}, "
                "and give the new entry a name of its own"
            )
