"""The source of one class or function, from a cell or a file, and the global names that it uses."""

from __future__ import annotations

import ast
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class NoSourceError(Exception):
    """A class or function cannot leave the process it was written in; the text says why."""


@dataclass(frozen=True)
class Piece:
    """A definition as it was written; `line` is its first in `place`, a cell or a file.

    `namespace` is where its global names are found.
    """

    name: str
    text: str
    line: int
    place: str
    namespace: Mapping[str, Any]


def piece_of(found: Any, seen_from: Mapping[str, Any] | None = None) -> Piece:
    """The source of a class or a function, used in the namespace `seen_from`. Raises NoSourceError."""
    name = found.__name__
    functions = list(_functions(found))
    codes = [function.__code__ for function in functions]
    if inner := sorted({free for code in codes for free in code.co_freevars} - {"__class__"}):
        outer = found.__qualname__.rpartition(".<locals>")[0]
        raise NoSourceError(
            f"{name} is defined inside {outer} and uses its {', '.join(inner)}. Define it at the top level"
        )
    for file, line in _places(found, codes):
        lines = linecache.getlines(file)
        node = _definition(lines, name, line)
        if node is not None:
            first = _first_line(node)
            text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
            place = Path(file).name if Path(file).is_file() else "the cell"
            namespace = functions[0].__globals__ if functions else seen_from
            namespace = vars(sys.modules[found.__module__]) if namespace is None else namespace
            return Piece(name, text.rstrip("\n"), first, place, namespace)
    raise NoSourceError(f"the source of {name} is not known. Define it in a cell or a file, not by exec")


def global_names(text: str) -> list[str]:
    """The names that a definition takes from its module, in the order of their first use."""
    top = symtable.symtable(text, "source", "exec")
    own = {each.get_name() for each in top.get_symbols() if each.is_assigned()}
    found: dict[str, None] = {}
    tables = [top]
    while tables:
        table = tables.pop(0)
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table is top or symbol.is_global()):
                found[symbol.get_name()] = None
        tables += table.get_children()
    return [name for name in found if name not in own]


def dotted_names(text: str, name: str) -> set[str]:
    """What a source reads of a module by a chain of attributes: `os.path.join` gives os.path too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == name:
            found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return found


def _functions(found: Any) -> Iterator[FunctionType]:
    """A function itself, or all functions of a class."""
    if isinstance(found, type):
        for value in vars(found).values():
            for part in (value, getattr(value, "__func__", None), getattr(value, "fget", None)):
                function = inspect.unwrap(part) if callable(part) else None
                if isinstance(function, FunctionType) and function.__module__ == found.__module__:
                    yield function
    else:
        function = inspect.unwrap(found)
        if isinstance(function, FunctionType):
            yield function


def _places(found: Any, codes: list[CodeType]) -> Iterator[tuple[str, int | None]]:
    """Files and cells, with a line if known, in which the definition may stand."""
    yield from ((code.co_filename, code.co_firstlineno) for code in codes)
    if isinstance(found, type):  # one without functions says nowhere where it was written
        if file := getattr(sys.modules.get(found.__module__), "__file__", None):
            yield file, None
        cells = [name for name in linecache.cache if not Path(name).is_file()]
        yield from ((name, None) for name in reversed(cells))


def _definition(lines: list[str], name: str, line: int | None) -> Definition | None:
    """The innermost definition of that name around a line; the last one without a line."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == name
        and (line is None or _first_line(node) <= line <= (node.end_lineno or line))
    ]
    return max(found, key=_first_line, default=None)


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
