"""Write the tree of docs/architecture.md: two levels of packages, each with its docstring's first line."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).with_name("architecture.md")
BLOCK = re.compile(r"(?<=<!-- tree -->\n)```\n.*?```\n(?=<!-- end -->)", re.DOTALL)
MISSING = "has no docstring"


def packages() -> list[str]:
    """The packages of the wheel, in its order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return found


def purpose(package: Path) -> str:
    """The first line of a package's docstring."""
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    return (docstring or MISSING).splitlines()[0]


def tree() -> str:
    """The block of the page: a line a package."""
    lines = []
    for name in packages():
        lines.append((f"{name}/", purpose(ROOT / name)))
        inner = sorted(path.parent for path in (ROOT / name).glob("*/__init__.py"))
        lines += [(f"  {path.name}/", purpose(path)) for path in inner]
    width = max(len(name) for name, _ in lines) + 2
    return "".join(f"{name:{width}}{line}\n" for name, line in lines)


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda _: f"```\n{tree()}```\n", PAGE.read_text()))
