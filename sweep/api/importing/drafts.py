"""A study on its way from another tool's file: keys with comments, and what a study file cannot say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ORDER = (
    "name", "seed", "command", "working_directory", "environment", "objective", "space", "fixed", "trial",
    "sampler", "pruner", "stop", "failures", "budget",
)  # fmt: skip
"""What a draft may hold, as it is written."""

HERE = "as there: this file's folder, not the trial's own"
"""Why a study has a `working_directory`: relative paths mean the same."""

WIDE = 60
"""Longer than this, a mapping stands on lines of its own."""

COLUMN = 46
"""Where comments begin."""


class ImportFault(Exception):
    """Why a file cannot be imported at all: what, with the key where it stands, and what to do."""


@dataclass
class Draft:
    """What is written: `values` in their order, `comments` by key path, `unsaid` one line each."""

    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    unsaid: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any, comment: str = "") -> None:
        """A key of the study file."""
        self.values[key] = value
        if comment:
            self.comments[(key,)] = " ".join(comment.split())

    def note(self, text: str) -> None:
        """What the study file does not say as the other one did."""
        line = " ".join(text.split())
        if line not in self.unsaid:
            self.unsaid.append(line)

    def text(self, source: str) -> str:
        """The study file."""
        lines = [f"# From {source}, {self.kind}. Check it: python -m sweep check STUDY"]
        lines += [f"# {text}" for text in self.unsaid]
        for key, value in sorted(self.values.items(), key=lambda item: ORDER.index(item[0])):
            lines += self._lines((key,), value, "")
        return "\n".join(lines) + "\n"

    def _lines(self, path: tuple[str, ...], value: Any, indent: str) -> list[str]:
        comment = self.comments.get(path, "")
        name = f"{indent}{_key(path[-1])}:"
        inline = f"{name} {_inline(value)}"
        has_inner = any(each[: len(path)] == path and len(each) > len(path) for each in self.comments)
        if isinstance(value, Mapping) and value and (has_inner or len(inline) > WIDE or path == ("space",)):
            inner = [self._lines((*path, key), each, indent + "  ") for key, each in value.items()]
            return [*_commented(name, comment), *(line for each in inner for line in each)]
        if isinstance(value, list) and len(inline) > WIDE and not all(map(_is_number, value)):
            return [*_commented(name, comment), *(f"{indent}  - {_inline(each)}" for each in value)]
        return _commented(inline, comment)


def _commented(line: str, comment: str) -> list[str]:
    """A comment beside a line, or above one that is long."""
    if not comment:
        return [line]
    if len(line) >= COLUMN:
        return [f"# {comment}", line]
    return [f"{line:<{COLUMN}}# {comment}"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _key(name: str) -> str:
    return _word(str(name))


def _inline(value: Any) -> str:
    """A value on one line, as YAML 1.2 reads it back."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_key(key)}: {_inline(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case str():
            return _word(value)
        case float() if not math.isfinite(value):
            return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
        case _:
            return repr(value)


_PLAIN = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./=+-]*")
_RESERVED = ("true", "false", "null", "-", "~", ".inf", "-.inf", ".nan", "---", "...")


def _word(text: str) -> str:
    """Text, quoted wherever it could be read as something else."""
    is_number = re.fullmatch(r"[-+.0-9].*", text) and re.fullmatch(r"[-+.0-9eE]+", text)
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED and not is_number:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text)  # with escapes, which are the same in YAML's double quotes
