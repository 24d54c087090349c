"""How the source is laid out: no import circle, no crowded folder, and package docstrings that are true."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sweep", "train_core", "lm", "clusters", "analysis", "runlog", "configfile")
MOST_MODULES = 16
MOST_ENTRIES_OF_SWEEP = 14


def modules(root: Path) -> dict[str, Path]:
    """Every module of the packages under `root` by its dotted name, packages under their own."""
    found = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.Module, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that one names in its imports, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            for each in node.names:
                full = f"{node.module}.{each.name}"
                yield full if full in known else node.module


def circle(root: Path) -> list[str] | None:
    """Modules that import each other in a ring, the first again at the end; None where there are none."""
    known = modules(root)
    graph = {
        name: {each for each in imports(ast.parse(path.read_text("utf-8")), known) if each in known} - {name}
        for name, path in known.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return ring
    return None


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    assert circle(ROOT) is None


def test_a_circle_is_found_even_inside_functions(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "runlog" / "one.py").write_text("from runlog import two\n")
    (tmp_path / "runlog" / "two.py").write_text("def f():\n    from runlog.one import x\n")
    assert set(circle(tmp_path) or ()) == {"runlog.one", "runlog.two"}


FOLDERS = sorted({path.parent for path in modules(ROOT).values()})


def test_no_folder_is_crowded() -> None:
    counts = {folder.relative_to(ROOT).as_posix(): len(list(folder.glob("*.py"))) for folder in FOLDERS}
    inits = {folder.relative_to(ROOT).as_posix() for folder in FOLDERS if (folder / "__init__.py").exists()}
    crowded = {name: count for name, count in counts.items() if count - (name in inits) > MOST_MODULES}
    assert crowded == {}


def test_sweep_shows_few_entries() -> None:
    entries = {path.name for path in (ROOT / "sweep").iterdir()} - {"__pycache__"}
    assert len(entries) <= MOST_ENTRIES_OF_SWEEP, sorted(entries)


def listed(text: str) -> set[str]:
    """The names that a docstring has a line each for: `name   what it is`."""
    return set(re.findall(r"^(\w+)/? {2,}\S", text, re.MULTILINE))


@pytest.mark.parametrize(
    "folder", [each for each in FOLDERS if (each / "__init__.py").exists()], ids=lambda each: each.name
)
def test_a_package_s_docstring_lists_its_modules(folder: Path) -> None:
    tree = ast.parse((folder / "__init__.py").read_text("utf-8"))
    there = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    there |= {path.parent.name for path in folder.glob("*/__init__.py")}
    names = listed(ast.get_docstring(tree) or "")
    assert there - names == set(), "has no line"
    public = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert names - there - public == set(), "is not there"
