"""The model of a trial on a frozen base: all trials share it, and checkpoints leave it out (fault 28)."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

import analysis
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.spec.parse import load
from tests.sweep.conftest import STUDIES, STUDY
from train_core.loading import load_task

TASK = """
import mlx.core as mx
import mlx.nn as nn
from line import Line

class OnABase(Line):
    def model(self, slow):
        return Model()

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Linear(4, 4)
        self.base.weight = mx.arange(16).reshape(4, 4) / 8
        self.base.bias = mx.ones(4)
        self.base.freeze()
        self.head = nn.Linear(4, 1)

    def __call__(self, x):
        return self.head(mx.tanh(self.base(mx.broadcast_to(x, (len(x), 4)))))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> analysis.Run:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    (tmp_path / "line.py").write_text((STUDIES / "line.py").read_text())
    (tmp_path / "base.py").write_text(TASK)
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.replace("line.py:Line", "base.py:OnABase"))
    run_study(load(study), runs=tmp_path / "runs", progress=Quiet())
    return analysis.load(tmp_path / "runs" / "line")


def test_a_model_has_its_own_weights_and_the_base_that_its_checkpoint_leaves_out(run: analysis.Run) -> None:
    best = run.best().iloc[0]
    held = run.weights(int(best.number))
    assert set(held) == {"head"}
    model = run.model(int(best.number))
    assert model.head.weight.tolist() == held["head"]["weight"].tolist()
    assert model.base.weight.tolist() == (mx.arange(16).reshape(4, 4) / 8).tolist()
    task = load_task(str(run.path.parents[1]), "base.py:OnABase")
    validation = task.data().validation
    loss = ((model(mx.array(validation["x"])) - mx.array(validation["y"])) ** 2).mean().item()
    assert loss == pytest.approx(best.value, rel=1e-5)
