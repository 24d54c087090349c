"""Messages, help, docstrings and pages in plain words: the worst phrases stand in none of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sweep", "train_core", "clusters", "analysis", "runlog", "configfile", "ray_contract")

REFUSED = {
    r"must be gone on with|gone on (with|from)": "say: resume",
    r"\b(go|goes|going|gone|went) on\b(?! (the|a) )": "say: resume, or continue",
    r"\b(whoever|nobody|somebody)\b": "name who it is",
    r"\bsay (another with )?--": "say: pass --option",
    r"\bis to be had\b|\bcannot be had\b": "say: could not be loaded",
    r"\bwithout a word\b": "say: without a message",
    r"\ball the same\b": "say: anyway",
    r"\banew\b": "say: again",
    r"\b(is|are|was|were|be) taken up\b": "say: resumed",
    r"\b(came?|comes?|coming) to (an|its|their) end\b": "say: ended, or finished",
    r"\bheld against\b": "say: compared with",
    r"\b(row|column) an? (?!and\b)\w+": "say: row per",
}
"""Patterns and what to write instead."""


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string literal of a module, the parts of an f-string among them, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Every paragraph of a page, with its first line."""
    text = path.read_text()
    for found in re.finditer(r"\S.*?(?=\n\s*\n|\Z)", text, re.DOTALL):
        yield text.count("\n", 0, found.start()) + 1, found[0]


def found(path: Path) -> Iterator[str]:
    for line, text in (paragraphs if path.suffix == ".md" else strings)(path):
        plain = re.sub(r"\s+", " ", text)
        for pattern, instead in REFUSED.items():
            if match := re.search(pattern, plain):
                yield f"{path.relative_to(ROOT)}:{line}: {match[0]!r}; {instead}"


MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


PAGES = [
    *ROOT.glob("*.md"),
    *(page for folder in ("docs", "examples", "benchmarks") for page in ROOT.glob(f"{folder}/**/*.md")),
]


def test_the_modules_and_pages_are_found() -> None:
    assert len(MODULES) > 150
    assert len(PAGES) > 15


@pytest.mark.slow
def test_messages_are_in_plain_words() -> None:
    wrong = [each for path in (*MODULES, *PAGES) for each in found(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "the study must be gone on with",
        "whoever reads it",
        "it goes on there",
        "say --yes",
        "is to be had",
        "runs all the same",
        "one row a trial",
        "the study came to its end",
    ],
)
def test_the_patterns_catch_what_they_are_for(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in REFUSED)
