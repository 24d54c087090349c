"""Programs for nodes as they are sent: whole, each part of them once, and nothing else of this project."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from clusters import nodeside

FOLDER = Path(nodeside.__file__).parent
FILES = [file.relative_to(FOLDER) for file in sorted(FOLDER.rglob("*.py")) if file.name != "__init__.py"]
PROGRAMS = [".".join(file.with_suffix("").parts) for file in FILES if file.parts[0] != "parts"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_stands_by_itself(name: str) -> None:
    tree = ast.parse(nodeside.program(name))
    imported = [each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    imported += [
        alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names
    ]
    assert not [each for each in imported if each.partition(".")[0] in ("clusters", "configfile", "sweep")]
    defined = [each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    assert len(defined) == len(set(defined)), "a part is in it twice, or two parts use one name"


def test_every_program_is_in_the_list_of_its_package() -> None:
    for name in PROGRAMS:
        *folders, module = name.split(".")
        documented = (FOLDER.joinpath(*folders) / "__init__.py").read_text().partition('"""\n')[0]
        assert module in documented, name
