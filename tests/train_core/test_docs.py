"""The page on the training core: its snippets run as they stand, in order."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

import train_core

PAGE = Path(__file__).parents[2] / "docs" / "train_core.md"


@pytest.mark.slow
@pytest.mark.usefixtures("uncompiled")
def test_every_snippet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text()
    namespace: dict[str, Any] = {"__name__": "page"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 10
    # Lines are counted as in the page, so an error and a purity report name the page's.
    linecache.cache[str(PAGE)] = (len(text), None, text.splitlines(keepends=True), str(PAGE))
    for block in blocks:
        lines_before = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], str(PAGE), "exec"), namespace)
    printed = capsys.readouterr().out
    assert re.search(r"train_core\.md:\d+: in Careless: `np\.asarray.*` writes into the buffer", printed)


def test_every_public_name_the_page_speaks_of_exists() -> None:
    named = set(re.findall(r"train_core\.([A-Za-z]\w*)", PAGE.read_text()))
    assert named <= {*train_core.__all__, "md"}
