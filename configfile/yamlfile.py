"""YAML 1.2 read safely, with the line of every key; scalars are those of the specification's core schema.

Only mappings, lists and scalars are built. `1e-4` is a number; `on`, `1_000` and `2024-01-01` are words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import BaseResolver

from configfile import plain
from configfile.problems import ConfigError, Problem

Path = tuple[str | int, ...]
"""Keys and list indices from the root to an entry."""

MAX_ENTRIES = 10_000
"""More entries than a person means: an alias bomb, or the wrong file."""

_TAG = "tag:yaml.org,2002:"
_CORE_SCHEMA: list[tuple[str, str, list[str | None]]] = [
    ("null", r"^(?:null|Null|NULL|~|)$", [*"nN~", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", [*"tTfF"]),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", [*"-+0123456789"]),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        [*"-+.0123456789"],
    ),
]


class _CoreResolver(BaseResolver):
    """Tells plain scalars apart by YAML 1.2's core schema (ruamel.yaml's own rules add to it)."""

    def __init__(self, version: object = None, loader: object = None, loadumper: object = None) -> None:
        super().__init__(loader or loadumper)

    @property
    def processing_version(self) -> tuple[int, int]:
        """1.2 whatever a `%YAML` line says: a file means the same everywhere."""
        return (1, 2)


for _name, _pattern, _first in _CORE_SCHEMA:
    _CoreResolver.add_implicit_resolver_base(_TAG + _name, re.compile(_pattern), _first)


class _QuotingRepresenter(SafeRepresenter):
    """Quotes all but plain words: ruamel.yaml leaves text bare that it cannot read back, such as `:0`."""

    ignore_aliases = staticmethod(lambda data: True)

    def represent_str(self, data: str) -> ScalarNode:
        style = None if _PLAIN_WORD.fullmatch(data) else '"'
        return self.represent_scalar(_TAG + "str", data, style=style)


_PLAIN_WORD = re.compile(r"\w(?:[\w ./-]*\w)?(?::\w+)?", re.ASCII)
_QuotingRepresenter.add_representer(str, _QuotingRepresenter.represent_str)


@dataclass(frozen=True)
class Document:
    """A file's content as plain dicts, lists and scalars, and the line of every entry."""

    file: str
    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int | None:
        """The line of the entry, or of the nearest one around it, from 1; None where it is no text."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1) if self.lines else None

    def has(self, path: Path) -> bool:
        """Whether something stands at the path."""
        return path in self.lines if self.lines else self.at(path) is not None

    def at(self, path: Path) -> Any:
        """The value at the path; None where there is none."""
        value = self.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def problem(self, path: Path, what: str, found: str | None = None, remedy: str | None = None) -> Problem:
        """A problem with the entry at `path`; `found` is what stands there unless given, "" for nothing."""
        if found is None and self.has(path):
            found = value_text(self.at(path))
        return Problem(self.file, what, key_text(path), self.line(path), found or None, remedy)


def value_text(value: Any) -> str:
    """A value in a message, in few words."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return f"`{value[:80]}`"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


def key_text(path: Path) -> str | None:
    """`("objective", 1, "metric")` as `objective[1].metric`; None for the root."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or None


def parse(text: str | bytes, file: str) -> Document:
    """The document in `text`; raises ConfigError with every problem found, `file` named in each."""
    try:
        root = _yaml().compose(text)
        if root is None:
            raise ConfigError(
                [Problem(file, "is empty", line=1, remedy="write `name: ...` and the other keys")]
            )
        reading = _Reading(file)
        value = reading.value(root, ())
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError([_syntax_problem(error, file)]) from error
    except RecursionError as error:
        raise ConfigError([Problem(file, "is nested too deeply to be read")]) from error
    if reading.problems:
        raise ConfigError(reading.problems)
    return Document(file, value, reading.lines)


def document(values: Mapping[str, Any], name: str) -> Document:
    """Plain values that stand in no file, called `name` in messages; raises ConfigError for any others."""
    problems: list[Problem] = []
    value = _plain(values, (), name, problems)
    if problems:
        raise ConfigError(problems)
    return Document(name, value, {})


def _plain(value: Any, path: Path, name: str, problems: list[Problem]) -> Any:
    """Mappings, lists and scalars as `parse` gives them; NumPy's values and paths become plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, (*path, str(key)), name, problems) for key, item in value.items()}
    if isinstance(value, list | tuple | range) or plain.is_row(value):
        return [_plain(item, (*path, index), name, problems) for index, item in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    value = plain.scalar(value)
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    rule = "must be a number, text, true, false, null, a list or a mapping"
    problems.append(Problem(name, rule, key_text(path), found=type(value).__name__))
    return None


def dump(value: Any) -> str:
    """YAML text that `parse` reads back as an equal value; innermost collections on one line."""
    yaml = _yaml()
    yaml.Representer = _QuotingRepresenter
    yaml.default_flow_style = None
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _CoreResolver
    return yaml


def _syntax_problem(error: Exception, file: str) -> Problem:
    if not isinstance(error, MarkedYAMLError):
        return Problem(file, f"is no YAML text in UTF-8: {str(error).splitlines()[0]}")
    mark = error.problem_mark or error.context_mark
    return Problem(
        file,
        "must be YAML",
        line=mark.line + 1 if mark else None,
        found=" ".join(part for part in (error.context, error.problem) if part),
        remedy="check indentation, quotes and brackets there",
    )


class _Reading:
    """One walk over a node tree: builds the plain value, notes lines and problems on the way."""

    def __init__(self, file: str) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._entries = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: Path) -> Any:
        """The plain value of a node; notes the line of every key. Raises ConfigError."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._entries += 1
        if self._entries > MAX_ENTRIES or id(node) in self._open:
            what = f"has more than {MAX_ENTRIES} entries, or an entry that holds itself"
            raise ConfigError([self._problem(path, node, what)])
        self._open.add(id(node))
        try:
            if not isinstance(node, ScalarNode) and str(node.tag) not in (_TAG + "map", _TAG + "seq"):
                self.problems.append(self._tag_problem(node, path))
            if isinstance(node, MappingNode):
                return dict(self._items(node, path))
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            assert isinstance(node, ScalarNode)
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _items(self, node: MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                what = "a key is a list or a mapping, not a word"
                self.problems.append(self._problem(path, key_node, what))
                continue
            key = key_node.value
            if key in first_line:
                what, remedy = f"stands on lines {first_line[key]} and {line}", "keep one of them"
                self.problems.append(self._problem((*path, key), key_node, what, remedy=remedy))
                continue
            first_line[key] = self.lines[(*path, key)] = line
            yield key, self.value(value_node, (*path, key))

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text: str = node.value
        try:
            match str(node.tag).removeprefix(_TAG):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
                case "float":
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
                case _:
                    self.problems.append(self._tag_problem(node, path))
        except ValueError:
            what = f"`{text[:40]}` cannot be read as a number"
            self.problems.append(self._problem(path, node, what))
        return None

    def _tag_problem(self, node: Node, path: Path) -> Problem:
        remedy = "write a plain mapping, list, number or word"
        return self._problem(path, node, "YAML tags are not read", f"`{node.tag}`", remedy)

    def _problem(
        self, path: Path, node: Node, what: str, found: str | None = None, remedy: str | None = None
    ) -> Problem:
        return Problem(self._file, what, key_text(path), node.start_mark.line + 1, found, remedy)
