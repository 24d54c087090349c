"""Exported adapters are mlx-lm's: its own command tests them and finds the run's loss."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("mlx_lm", reason="pip install 'sweep-mlx[lm]'")

import mlx_lm.lora
from mlx_lm.tuner import trainer

from lm import FineTune
from tests.lm.tasks import SETTING, task_of
from train_core import Checkpoint, Population, Program, TaskError, keys, split_for
from train_core.inference import trained_model, weight_tree
from train_core.lanes.lane import Length

pytestmark = pytest.mark.usefixtures("uncompiled")
LONGER: dict[str, Any] = {**SETTING, "max_seq_length": 48, "val_batches": -1}


def trained(task: FineTune, setting: dict[str, Any]) -> tuple[Checkpoint, float]:
    """A run's end, and its validation loss there."""
    population = Population(Program(task, split_for(task, setting)[0]), 1)
    length = Length(examples=8, report_every=8)
    population.load(0, key=keys.key(1), hyperparameters=setting, length=length)
    (report,) = population.advance().reports
    return population.snapshot(0), report.metrics["validation_loss"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"rank": 3, "num_layers": 2, "dropout": 0.2},
        {"fine_tune_type": "dora"},
        {"fine_tune_type": "full", "num_layers": 2, "max_num_layers": 2},
    ],
    ids=["lora", "dora", "full"],
)
def test_mlx_lm_tests_what_was_exported_and_finds_the_run_s_loss(
    own: Path,
    changes: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, setting, out = task_of(own), {**LONGER, **changes}, own / "adapters"
    checkpoint, loss = trained(task, setting)
    commands = task.export(weight_tree(checkpoint), setting, out)
    assert [command.split()[0] for command in commands] == ["mlx_lm.generate", "mlx_lm.fuse"]
    assert json.loads((out / "adapter_config.json").read_text())["num_layers"] == setting["num_layers"]
    exact: list[float] = []

    def evaluate(**options: Any) -> float:
        exact.append(trainer.evaluate(**options))
        return exact[0]

    monkeypatch.setattr(mlx_lm.lora, "evaluate", evaluate)  # it prints three digits behind the point
    shutil.copy(own / "data" / "valid.jsonl", own / "data" / "test.jsonl")
    given = {"model": str(own / "base"), "adapter_path": str(out), "data": str(own / "data"), "test": True}
    options = {"mask_prompt": True, "max_seq_length": 48, "batch_size": 22, "test_batches": -1}
    mlx_lm.lora.run(SimpleNamespace(**{**mlx_lm.lora.CONFIG_DEFAULTS, **given, **options}))
    said = re.search(r"Test loss ([\d.]+)", capsys.readouterr().out)
    assert said is not None
    assert float(said[1]) == pytest.approx(loss, abs=6e-4)
    assert exact == pytest.approx([loss], rel=1e-5)


@pytest.mark.slow
def test_a_run_begins_with_an_adapter_that_was_exported(own: Path) -> None:
    task = task_of(own)
    checkpoint, loss = trained(task, {**LONGER, "rank": 8})
    task.export(weight_tree(checkpoint), {**LONGER, "rank": 8}, own / "adapters")
    resumed = {**LONGER, "rank": 8, "resume_adapter_file": "adapters/adapters.safetensors"}
    _, begun = trained(task, {**resumed, "learning_rate": 0.0})
    assert begun == pytest.approx(loss, rel=1e-6)
    with pytest.raises(TaskError, match=r"resume_adapter_file: .*lora_. is .* Write its rank as max_rank"):
        trained(task, {**resumed, "max_rank": 16})
    with pytest.raises(TaskError, match=r"is not trained here; check num_layers and keys"):
        trained(task, {**resumed, "num_layers": 1, "max_num_layers": 1})
    with pytest.raises(TaskError, match=r"resume_adapter_file: .*nowhere: cannot be read"):
        trained(task, {**resumed, "resume_adapter_file": "nowhere"})


@pytest.mark.slow
def test_the_model_of_a_checkpoint_has_the_base_that_is_not_in_it(example: Path) -> None:
    task = task_of(example)
    checkpoint, _ = trained(task, LONGER)
    model = trained_model(task, LONGER, checkpoint)
    assert not any("linear" in path for path in checkpoint.arrays)
    assert model.layers[0].self_attn.q_proj.lora_b.any()
