"""What pages and docstrings name is there: links, paths, modules, make targets; the tree is the folders'."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in ("docs", "examples") for path in ROOT.glob(f"{folder}/**/*.md")),
    ]
)
FOLDERS = [
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and path.name.isidentifier() and path.name not in ("runs", "build", "dist")
]
"""Ours: what a person's studies or a build left beside them is not what pages name."""

PACKAGES = [name for name in FOLDERS if (ROOT / name / "__init__.py").exists() and name != "tests"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
SPAN = re.compile(r"`([^`\n]+)`")
ELSEWHERE = {"clusters/lab", "sweep.chip", "sweep.os", "sweep.node"}
"""A folder on a node and labels of Ray's, called like something of ours."""
MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")


def tree_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tree", ROOT / "docs" / "tree.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spans(text: str) -> Iterator[str]:
    """What stands between backticks, blocks left out."""
    yield from SPAN.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or a name that one of its packages or modules knows."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        folder = ROOT.joinpath(*parts[:length])
        source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        if source.exists():
            return length == len(parts) or bool(re.search(rf"\b{parts[length]}\b", source.read_text()))
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    links = {link for link in LINK.findall(text) if "://" not in link}
    assert [link for link in sorted(links) if not (page.parent / link).exists()] == []
    named = set(spans(text))
    paths = {name for name in named if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", name)}
    assert [path for path in sorted(paths - ELSEWHERE) if not (ROOT / path).exists()] == []
    modules = {name for name in named if MODULE.fullmatch(name)}
    assert [name for name in sorted(modules - ELSEWHERE) if not is_there(name)] == []
    targets = set(re.findall(r"`make ([a-z-]+)`", text)) | set(
        re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    )
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= made


def test_the_map_s_tree_is_the_folders() -> None:
    block = re.search(
        r"<!-- tree -->\n```\n(.*?)```\n<!-- end -->", (ROOT / "docs/architecture.md").read_text(), re.S
    )
    assert block is not None
    module = tree_module()
    named, there = (re.findall(r"^ *[a-z_]+/", text, re.MULTILINE) for text in (block[1], module.tree()))
    assert named == there, "run: make docs"
    assert module.MISSING not in block[1]


def opened() -> dict[str, str]:
    """Each row of what to open to add something, by what is added."""
    text = (ROOT / "docs/architecture.md").read_text().partition("## To add something")[2]
    return dict(re.findall(r"^\| (an? [^|]+) (\|.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("added", opened())
def test_what_to_open_holds_the_names_that_the_map_says(added: str) -> None:
    spans_of_row = SPAN.findall(opened()[added])
    paths = [ROOT / span for span in spans_of_row if "/" in span]
    files = [path for each in paths for path in (each.glob("*.py") if each.is_dir() else [each])]
    held = set(re.findall(r"\w+", " ".join(path.read_text() for path in files if path.suffix == ".py")))
    names = {span for span in spans_of_row if span.isidentifier()}
    assert paths
    assert names - held == set()


def test_the_readme_names_each_package() -> None:
    text = (ROOT / "README.md").read_text().partition("## The tree")[2]
    assert [name for name in tree_module().packages() if f"`{name}/`" not in text] == []


def test_the_index_names_each_page() -> None:
    text = (ROOT / "docs/README.md").read_text()
    pages = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md"]
    assert [name for name in pages if f"]({name})" not in text] == []
