"""The rules of a study whose trials are processes of a program: its command against the space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from configfile import nearest
from configfile.yamlfile import Path
from sweep.errors import Problem
from sweep.spec.command.template import OWN, RESUME, all_placeholders, placeholders
from sweep.spec.rules import Draft
from sweep.spec.schema import Choices
from sweep.vocabulary.turn import Trainable

KEYS: Mapping[str, object] = {
    "metrics": {},
    "environment": {},
    "working_directory": None,
    "counts_from": "start",
}
"""What says how a command runs and is read, and what says nothing."""


def problems(draft: Draft) -> Iterator[Problem]:
    """What is wrong with the command, or that there is none, or a task beside it."""
    given = draft.document.value
    if "task" in given and "command" in given:
        what = (
            f"is also given by `task`, on line {draft.document.line(('task',))}: a trial is one or the other"
        )
        yield draft.document.problem(("command",), what, "", "keep one of them")
    elif "task" not in given and "command" not in given:
        remedy = "add task: file.py:Class, or command: [python, train.py]"
        yield draft.document.problem(("task",), "is missing", "", remedy)
    elif given.get("command", ...) is None and given.get("task") is None:
        yield draft.document.problem(("command",), "is empty", "", "write arguments: [python, train.py]")
    if draft.trainable is Trainable.COMMAND:
        yield from _unknown(draft)
        yield from _unreached(draft)
        yield from _dangling(draft)
        yield from _nested(draft)
        yield from _metrics(draft)
        yield from _counts(draft)
        yield from _variables(draft)
        return
    for key, nothing in KEYS.items():
        if given.get(key, nothing) != nothing:
            what = "belongs to a `command`, and this study has a `task`"
            yield draft.document.problem((key,), what, "", "remove it")


def _texts(draft: Draft) -> Iterator[tuple[Path, str]]:
    """Every text that may hold placeholders, and where it stands."""
    for index, each in enumerate(draft.command or ()):
        if isinstance(each, str):
            yield ("command", index), each
        else:
            yield from ((("command", index, inner), text) for inner, text in enumerate(each))
    for name, value in (draft.environment or {}).items():
        if value is not None:
            yield ("environment", name), value


def _unknown(draft: Draft) -> Iterator[Problem]:
    names = draft.space_names | draft.fixed_names
    lengths = () if draft.trial is None or draft.trial.length is not None else ("length", "left")
    for path, text in _texts(draft):
        for name in placeholders(text):
            if name in names:
                continue
            if name in lengths:
                what = f"{{{name}}} needs the length of a trial"
                yield draft.document.problem(path, what, "", "add trial: {length: {examples: 1000}}")
            elif name not in OWN:
                what = f"{{{name}}} names no hyperparameter"
                near = nearest.remedy(name, sorted({*names, *OWN}))
                remedy = f"{near}. Braces that are none are doubled: {{{{ and }}}}" if not name else near
                yield draft.document.problem(path, what, "", remedy)


def _unreached(draft: Draft) -> Iterator[Problem]:
    """A command that names some hyperparameters has to name all: the others would change nothing."""
    if draft.command is None or draft.environment is None:
        return
    used = all_placeholders(draft.command) | {
        name for _, text in _texts(draft) for name in placeholders(text)
    }
    names = draft.space_names | draft.fixed_names
    if not used & names or ("params" in used and "params" not in names):
        return
    for section, held in (("space", draft.space_names), ("fixed", draft.fixed_names)):
        for name in sorted(held - used):
            what = "does not reach the command: no argument holds it"
            remedy = f'add "--{name}={{{name}}}" to `command`, or give it {{params}}'
            yield draft.document.problem((section, name), what, "", remedy)


def _dangling(draft: Draft) -> Iterator[Problem]:
    """An option whose value may be left out would take the next argument for it."""
    before: object = ""
    for index, each in enumerate(draft.command or ()):
        is_option = isinstance(before, str) and before.startswith("-") and "=" not in before
        if isinstance(each, str) and is_option and not each.startswith("-"):
            for name in placeholders(each):
                if _may_be_absent(draft, name):
                    what = f"{before} would stand alone where {{{name}}} has no value"
                    remedy = f'write them as one group: [{before}, "{each}"]'
                    yield draft.document.problem(("command", index), what, "", remedy)
        before = each


def _may_be_absent(draft: Draft, name: str) -> bool:
    if name in draft.space:
        entry = draft.space[name]
        return bool(entry.when) or (isinstance(entry, Choices) and None in entry.choices)
    if name in draft.fixed_names:
        return draft.fixed.get(name, "") is None
    return name == RESUME


def _nested(draft: Draft) -> Iterator[Problem]:
    """`a` and `a.b` cannot both be in one JSON object."""
    names = draft.space_names | draft.fixed_names
    for section, held in (("space", draft.space_names), ("fixed", draft.fixed_names)):
        for name in sorted(held):
            parts = name.split(".")
            outer = [".".join(parts[:count]) for count in range(1, len(parts))]
            if clash := next((each for each in outer if each in names), None):
                what = f"lies within `{clash}`, which is a value itself"
                yield draft.document.problem((section, name), what, "", "rename one of them")


def _metrics(draft: Draft) -> Iterator[Problem]:
    patterns = draft.metrics
    if not patterns:
        return
    say = draft.document.problem
    single = isinstance(draft.document.at(("objective",)), dict)
    for index, objective in enumerate(draft.objective or ()):
        if objective.metric not in patterns:
            path: Path = ("objective", "metric") if single else ("objective", index, "metric")
            what = f"no pattern in `metrics` finds `{objective.metric}`"
            yield say(path, what, "", nearest.remedy(objective.metric, sorted(patterns)))
    pruner = draft.pruner
    if "examples" not in patterns and pruner is not None and pruner.name != "none":
        what = "is missing: the pruner compares trials after equally many examples"
        yield say(("metrics", "examples"), what, "", "add examples: 'step ([0-9]+)', or remove `pruner`")


def _variables(draft: Draft) -> Iterator[Problem]:
    """What no system takes for a variable's name."""
    for name in draft.environment or {}:
        if not name or "=" in name or "\0" in name:
            what = f"{name!r} is no name of a variable"
            yield draft.document.problem(("environment", name), what, "", "write letters, digits and _")


def _counts(draft: Draft) -> Iterator[Problem]:
    if draft.metrics and "examples" not in draft.metrics and "counts_from" in draft.document.value:
        what = "says from where examples are counted, and no pattern finds them"
        yield draft.document.problem(("counts_from",), what, "", "add `examples` to `metrics`")
