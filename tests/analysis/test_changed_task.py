"""After `--accept-changed-task` a model is built by the text that its trial was trained with."""

from __future__ import annotations

from pathlib import Path

import pytest

import analysis
import sweep
from sweep.driver.monitor.progress import Quiet
from tests.sweep.conftest import STUDIES, STUDY

TASK = """
import mlx.nn as nn
from line import Reading

class Sized(Reading):
    def model(self, slow):
        text = self.recorded.get("config.txt") or (self.folder / "config.txt").read_text()
        return nn.Sequential(nn.Linear(1, int(text)), nn.Linear(int(text), 1))
"""


@pytest.mark.slow
def test_a_model_has_the_size_that_its_trial_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    (tmp_path / "line.py").write_text((STUDIES / "line.py").read_text())
    (tmp_path / "sized.py").write_text(TASK)
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("line.py:Line", "sized.py:Sized") + "checkpoints: {keep_best: 4}\n")
    for text, trials in (("2", 1), ("3", 2)):
        (tmp_path / "config.txt").write_text(text)
        sweep.run(
            study, runs=tmp_path / "runs", trials=trials, progress=Quiet(), accept_changed_task=trials == 2
        )
    run = analysis.load(tmp_path / "runs" / "line")
    assert [run.model(number).layers[0].weight.shape for number in (0, 1)] == [(2, 1), (3, 1)]
