"""The arguments of a command: placeholders in braces, and what stands in their place in one trial.

`{name}` is a hyperparameter, or one of OWN; `{{` and `}}` are braces. What has no value in a trial is left
out, with the argument or the group of arguments that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweep.vocabulary.trial import Scalar

Arguments = tuple[str | tuple[str, ...], ...]
"""Arguments, and groups of arguments that are given together or not at all."""

OWN: Mapping[str, str] = {
    "folder": "the trial's folder",
    "resume": "the same, where it holds what the rest of the argument names",
    "study": "the folder of the study file",
    "params": "a JSON file with all hyperparameters",
    "seed": "a seed of the trial's own below 2^32",
    "trial": "the trial's number",
    "length": "its length in examples",
    "left": "how many examples are left of it",
}
"""Placeholders that are no hyperparameters; a hyperparameter of the same name comes first."""

RESUME = "resume"

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def placeholders(text: str) -> list[str]:
    """The names in braces, in order."""
    return [found[1] for found in _PART.finditer(text) if found[1] is not None]


def all_placeholders(arguments: Arguments) -> set[str]:
    """The names in all arguments."""
    return {name for text in flat(arguments) for name in placeholders(text)}


def flat(arguments: Arguments) -> Iterator[str]:
    """All arguments one by one."""
    for each in arguments:
        yield from (each,) if isinstance(each, str) else each


def filled(arguments: Arguments, values: Mapping[str, str | None]) -> list[str]:
    """The arguments of a trial; what has no value is left out."""
    out: list[str] = []
    for each in arguments:
        texts = [fill(text, values) for text in ((each,) if isinstance(each, str) else each)]
        whole = [text for text in texts if text is not None]
        if len(whole) == len(texts):
            out += whole
    return out


def fill(text: str, values: Mapping[str, str | None]) -> str | None:
    """An argument of a trial; None where a placeholder has no value, or names no file to resume from."""
    out, last = [], 0
    resumes: int | None = None
    for found in _PART.finditer(text):
        out.append(text[last : found.start()])
        last = found.end()
        name = found[1]
        if name is None:
            out.append(found[0][0])
            continue
        value = values.get(name)
        if value is None:
            return None
        if name == RESUME and resumes is None:
            resumes = len("".join(out))
        out.append(value)
    whole = "".join(out) + text[last:]
    return whole if resumes is None or Path(whole[resumes:]).exists() else None


def written(value: Scalar) -> str | None:
    """A hyperparameter as an argument; null leaves it out."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case _:
            return str(value)


def nested(values: Mapping[str, Scalar]) -> dict[str, object]:
    """Hyperparameters as JSON has them: `optimizer.lr` is `lr` within `optimizer`."""
    tree: dict[str, object] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            inner = place.setdefault(parent, {})
            assert isinstance(inner, dict), "the rules refuse a name within another name"
            place = inner
        place[last] = value
    return tree


def shown(arguments: Arguments) -> str:
    """The command in one line, for people."""
    return " ".join(each if isinstance(each, str) else f"[{' '.join(each)}]" for each in arguments)
