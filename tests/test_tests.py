"""How the tests are built: what several of them need lies in modules of its own."""

from __future__ import annotations

import ast
from pathlib import Path

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


PENDING = {
    "sweep/search/test_distinct.py",
    "sweep/spec/test_against_task.py",
    "sweep/spec/test_lengths.py",
    "sweep/spec/test_points.py",
    "train_core/step/test_batch_norm.py",
    "train_core/vmap/test_fused.py",
}
"""Still import another test's helpers, which belong in modules of their own; to be emptied."""


def test_no_module_of_tests_is_imported_by_another() -> None:
    modules = {
        ".".join(path.relative_to(TESTS.parent).with_suffix("").parts) for path in TESTS.rglob("test_*.py")
    }
    uses = {str(path.relative_to(TESTS)): imported(path) & modules for path in TESTS.rglob("*.py")}
    assert {path for path, found in uses.items() if found} <= PENDING
