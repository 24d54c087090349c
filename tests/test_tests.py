"""How the tests are built: what several of them need lies in modules of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def imported(path: Path) -> set[str]:
    """The modules that a file imports from, and the modules it names in `from x import y`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.slow
def test_no_module_of_tests_is_imported_by_another() -> None:
    modules = {
        ".".join(path.relative_to(TESTS.parent).with_suffix("").parts) for path in TESTS.rglob("test_*.py")
    }
    uses = {str(path.relative_to(TESTS)): imported(path) & modules for path in TESTS.rglob("*.py")}
    assert {path: found for path, found in uses.items() if found} == {}
