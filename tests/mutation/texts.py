"""Study files to start from: the tests' own, the examples', those of the pages."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from configfile import yamlfile
from tests.sweep.conftest import STUDY

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@lru_cache(1)
def texts() -> list[str]:
    """Whole study files, each right."""
    page = _BLOCK.findall((ROOT / "docs" / "study.md").read_text())
    files = [path.read_text() for path in sorted(ROOT.glob("examples/*/study*.yaml"))]
    study = yamlfile.parse(page[0], "study.yaml").value
    recipes = [
        yamlfile.dump({**study, **given, "space": {**study["space"], **given.get("space", {})}})
        for given in map(_parsed, _BLOCK.findall((ROOT / "docs" / "recipes.md").read_text()))
    ]
    return [STUDY, *page, *files, *recipes]


def _parsed(text: str) -> dict[str, Any]:
    value: dict[str, Any] = yamlfile.parse(text, "recipe.yaml").value
    return value
