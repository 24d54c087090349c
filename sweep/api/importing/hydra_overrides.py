"""Hydra's words for what is searched: range(1, 5), interval(0, 1), choice(a, b), tag(log, ...), int(...)."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sweep.api.importing import entries
from sweep.api.importing.drafts import Draft, ImportFault

CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
CASTS: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str, "bool": bool}
NAMED = ("start", "stop", "end", "step", "sweep", "value", "list", "reverse")


@dataclass(frozen=True)
class _Choice:
    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Span:
    """A range, or where it has no step an interval."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


def entry(path: str, text: str, made: Draft, *, holds_stop: bool) -> entries.Entry:
    """What is searched, or {"fixed": value}. Raises ImportFault.

    `holds_stop`: whether a range holds its own stop, as with the Optuna sweeper and no other one.
    """
    match _read(path, text, made):
        case _Choice(values):
            found = entries.choices(list(values))
            return found if len(found["choices"]) > 1 else {"fixed": found["choices"][0]}
        case _Span(low, high, None, log):
            if isinstance(low, int):
                return entries.integers(low, high, log=log)
            return entries.uniform(low, high, log=log)
        case _Span(low, high, step, _):
            return _stepped(path, low, high, step, holds_stop=holds_stop)
        case value:
            return {"fixed": value}


def _stepped(path: str, low: float, high: float, step: float | None, *, holds_stop: bool) -> entries.Entry:
    if not step or step < 0:
        raise ImportFault(f"hydra.sweeper.params.{path}: counts by {step}. Write a range that goes up")
    if all(isinstance(each, int) for each in (low, high, step)):
        return entries.integers(low, high if holds_stop else high - 1, step=int(step))
    if not holds_stop:
        high = low + (math.ceil((high - low) / step - 1e-9) - 1) * step
    return entries.stepped(low, high, step)


def _read(path: str, text: str, made: Draft) -> Any:
    parts = split(text)
    if len(parts) > 1:
        return _Choice(tuple(map(word, parts)))
    called = CALL.fullmatch(parts[0])
    if called is None:
        return word(parts[0])
    kind, inner = called[1], split(called[2])
    given = dict(filter(None, map(_named, inner)))
    plain = [each for each in inner if _named(each) is None and each]
    if kind == "tag":
        *tags, last = [*plain, *filter(None, [given.get("sweep")])] or [""]
        if unknown := [tag for tag in tags if tag != "log"]:
            made.note(f"{path}: tag({', '.join(unknown)}) is left out")
        found = _read(path, last, made)
        return replace(found, log="log" in tags) if isinstance(found, _Span) else found
    if kind in CASTS:
        try:
            return _cast(_read(path, given.get("value", ", ".join(plain)), made), CASTS[kind])
        except (ValueError, TypeError, OverflowError):
            raise ImportFault(f"hydra.sweeper.params.{path}: {text} is no {kind}. Mend it") from None
    if kind in ("shuffle", "sort"):  # the order of what is tried is the sampler's
        return _read(path, given.get("sweep", given.get("list", ", ".join(plain))), made)
    if kind == "choice" and plain:
        return _Choice(tuple(map(word, plain)))
    if kind in ("range", "interval"):
        return _span(path, kind, plain, given)
    raise ImportFault(
        f"hydra.sweeper.params.{path}: {kind}(...) is not known here. Write range, interval or choice"
    )


def _span(path: str, kind: str, plain: list[str], given: dict[str, str]) -> _Span:
    names = ("start", "stop", "step") if kind == "range" else ("start", "end")
    bounds = {**dict(zip(names, plain, strict=False)), **given}
    numbers = {name: entries.number(path, word(text)) for name, text in bounds.items()}
    if kind == "range" and "stop" not in numbers:  # range(8) begins at 0
        numbers = {**numbers, "start": 0, "stop": numbers.get("start", 0)}
    missing = [name for name in names[:2] if name not in numbers]
    if missing:
        raise ImportFault(f"hydra.sweeper.params.{path}: {kind}(...) lacks its {missing[0]}. Add it")
    if kind == "range":
        return _Span(numbers["start"], numbers["stop"], numbers.get("step", 1))
    return _Span(float(numbers["start"]), float(numbers["end"]))  # of numbers, unless int(...) is around it


def _cast(found: Any, cast: Callable[[Any], Any]) -> Any:
    match found:
        case _Choice(values):
            return _Choice(tuple(map(cast, values)))
        case _Span(low, high, step, log):
            return _Span(cast(low), cast(high), None if step is None else cast(step), log)
        case value:
            return cast(value)


def _named(text: str) -> tuple[str, str] | None:
    name, equals, value = text.partition("=")
    return (name.strip(), value.strip()) if equals and name.strip() in NAMED else None


def split(text: str) -> list[str]:
    """Parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def word(text: str) -> Any:
    """A value as Hydra reads it: a number, true, null, quoted text, or a word."""
    known = {"true": True, "false": False, "null": None}
    if text.lower() in known:
        return known[text.lower()]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    if text[:1] in "'\"" and text[:1] == text[-1:] and len(text) > 1:
        try:
            return str(ast.literal_eval(text))
        except (SyntaxError, ValueError):
            return text[1:-1]
    return text
