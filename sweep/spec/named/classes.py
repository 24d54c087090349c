"""A class named in the study file and its arguments there, checked against the class's own signature."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

from configfile import nearest
from configfile.yamlfile import Document, Path
from sweep.errors import Problem, SpecError

_KINDS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "int": ("an integer", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("true or false", (bool,)),
    "str": ("text", (str,)),
    "None": ("null", (type(None),)),
}
"""Annotations that a value of a study file can meet."""


def load_class(document: Document, path: Path, target: str) -> type[Any]:
    """The class `package.module:Class`. Raises SpecError where it cannot be imported."""
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SpecError([document.problem(path, f"{target} cannot be imported: {error}", "")]) from error
    except AttributeError as error:
        raise SpecError([document.problem(path, f"{module} has no {name}", "")]) from error
    if not isinstance(found, type):
        raise SpecError([document.problem(path, f"{target} is no class", "")])
    return found


def problems(
    document: Document,
    path: Path,
    cls: type[Any],
    given: Mapping[str, Any],
    *,
    own: tuple[str, ...],
    withheld: Mapping[str, str],
) -> Iterator[Problem]:
    """What is wrong with the arguments that stand under `path`.

    `own` are keys that are no arguments; `withheld` maps arguments that are not the file's to give to
    what to do instead.
    """
    known = {name: each for name, each in parameters(cls).items() if name not in withheld}
    for name, value in given.items():
        if name in withheld:
            yield document.problem((*path, name), "cannot be given here", "", withheld[name])
        elif name not in known:
            names = [*own, *known]
            close = nearest.remedy(name, names)
            listed = f"known here: {', '.join(names)}"
            remedy = close if close == listed else f"{close} Known here: {', '.join(names)}"
            yield document.problem((*path, name), f"{cls.__name__} has no argument `{name}`", "", remedy)
        elif is_object(value):
            continue
        elif (kinds := _kinds(known[name])) is not None and not any(_is(kind, value) for kind in kinds):
            words = " or ".join(_KINDS[kind][0] for kind in kinds) or "{name: package.module:Class, ...}"
            yield document.problem((*path, name), f"must be {words}")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in given and name not in own:
            yield document.problem(
                (*path, name), f"is missing: {cls.__name__} needs it", remedy=f"add `{name}`"
            )


def build(document: Document, path: Path, cls: type[Any], arguments: Mapping[str, Any]) -> Any:
    """An object of the class; an argument {name: package.module:Class, ...} becomes an object too.

    Raises SpecError with what the class itself objects to.
    """
    ready = {name: _object(document, (*path, name), value) for name, value in arguments.items()}
    try:
        return cls(**ready)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError([document.problem(path, f"{cls.__name__} refuses it: {reason}", "")]) from error


def _object(document: Document, path: Path, value: Any) -> Any:
    if not is_object(value):
        return value
    given = {name: each for name, each in value.items() if name != "name"}
    return build(document, path, load_class(document, (*path, "name"), value["name"]), given)


def is_object(value: object) -> bool:
    """Whether a value names a class to be built: {name: package.module:Class, ...}."""
    return isinstance(value, dict) and isinstance(name := value.get("name"), str) and ":" in name


def parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """What the class can be built with, by name."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signature = inspect.signature(cls)
    return {name: each for name, each in signature.parameters.items() if each.kind in named}


def _kinds(parameter: inspect.Parameter) -> list[str] | None:
    """Which of our kinds an argument takes: [] where it takes objects only, None where nothing is said."""
    note = parameter.annotation
    if note is parameter.empty:
        return None
    text = note if isinstance(note, str) else inspect.formatannotation(note)
    parts = [part.strip() for part in text.split("|")]
    kinds = [part for part in parts if part in _KINDS]
    others = [part for part in parts if part not in _KINDS]
    if not others:
        return kinds
    if any(word in other for other in others for word in ("dict", "list", "Sequence", "Mapping", "Literal")):
        return None
    return kinds if set(kinds) <= {"None"} else None


def _is(kind: str, value: object) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, _KINDS[kind][1]) and (kind == "bool" or not isinstance(value, bool))
