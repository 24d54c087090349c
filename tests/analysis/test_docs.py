"""Every call that docs/analysis.md shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.analysis.conftest import ROOT

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "analysis.md").read_text(), re.DOTALL)


@pytest.mark.slow
def test_the_calls_work_in_order(run_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("digits", "digits-2"):
        shutil.copytree(run_path, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(block, names)
    assert len(BLOCKS) == 5
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()
    assert (tmp_path / "history.svg").is_file()
