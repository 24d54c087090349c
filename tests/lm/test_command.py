"""mlx-lm's own command, as it is, as a study's: read by patterns, resumed from the adapters that it saves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import analysis
import sweep
from sweep.driver.monitor.progress import Quiet
from sweep.worker.describe_task import answer
from tests.sweep.in_process import interrupted

EXAMPLE = Path(__file__).parents[2] / "examples" / "script" / "lora.yaml"


@pytest.mark.slow
def test_mlx_lm_s_command_is_swept_and_resumed(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.session.SETTLED_S", -1.0)
    monkeypatch.setattr("sweep.worker.command.session.TURN_S", 0.05)
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    monkeypatch.setattr("sweep.driver.processes.describe._ask", lambda ref, request: answer(request))
    (tmp_path / "lora").symlink_to(example)
    (tmp_path / "script").mkdir()
    study = tmp_path / "script" / "lora.yaml"
    shutil.copy(EXAMPLE, study)
    text = study.read_text()
    for old, new in (
        ("trials: 6", "trials: 1"),
        ("every: 10s", "every: 0.001s"),
        ("examples: 12", "examples: 8"),
    ):
        assert old in text
        text = text.replace(old, new)
    study.write_text(text + "executor: inline\n")
    monkeypatch.chdir(tmp_path)
    interrupted(monkeypatch, 3, lambda: sweep.run(study, progress=Quiet()))
    summary = sweep.run(study, progress=Quiet())
    assert summary.counts["COMPLETE"] == 1
    rows = analysis.load(summary.run_dir).metrics.sort_values("examples")
    assert rows.examples.tolist()[:2] == [1, 4]
    assert rows.examples.tolist()[-1] == 8
    assert rows.attempt.tolist()[0] == 0
    assert rows.attempt.tolist()[-1] == 1
    assert rows.val_loss.iloc[-1] < rows.val_loss.iloc[0]
    printed = sweep.logs(summary.run_dir, 0).replicates[0]
    assert printed.count("--resume-adapter-file") == 1
    assert "--iters=8" in printed
    assert "Loading fine-tuned weights" in printed
