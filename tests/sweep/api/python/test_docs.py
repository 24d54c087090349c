"""Every block of docs/python.md, run as the cells of one notebook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sweep
from tests import tiny_lm
from tests.sweep.api.python.cells import Kernel

PAGE = Path(__file__).parents[4] / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_the_blocks_work_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lora").mkdir()
    tiny_lm.write(tmp_path / "lora")
    kernel = Kernel()
    for block in BLOCKS:
        kernel.run(block)
    states = {run.path.name: sweep.status(run.path).trials for run in sweep.list_runs()}
    assert {name: sum(trials.values()) for name, trials in states.items()} == {
        "asked": 8, "beside": 4, "line": 4, "lora": 2, "parabola": 8, "pruned": 12, "saved": 4, "sklearn": 3,
    }  # fmt: skip
    assert not any({"FAIL", "RUNNING"} & trials.keys() for trials in states.values()), states
    assert len(sweep.load("runs/saved").checkpoints) > 0
    assert len(sweep.load("runs/lora").checkpoints) > 0
    assert sweep.load("runs/lora").metrics.updates.tolist() == [5, 10] * 2
