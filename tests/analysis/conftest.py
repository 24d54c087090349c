"""A real study of twelve short trials, run once in this process' place, and copies of it to damage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.conftest import STUDIES, STUDY

ROOT = Path(__file__).parents[2]
CHANGES = (
    ("lanes: 1", "lanes: 2"),
    ("{choices: [1, 2]}", "{choices: [1, 2]}\n  weight_decay: {low: 0.0, high: 0.1}"),
    ("fixed: {optimizer: sgd, slow: 0.0}", "  optimizer: {choices: [sgd, adamw]}\nfixed: {slow: 0.0}"),
    ("length: {epochs: 3}}", "length: {epochs: 4}}\npruner: {name: median, n_startup_trials: 3}"),
    ("budget: {trials: 4}", "budget: {trials: 14}"),
)  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "MLX_DISABLE_COMPILE": "1"}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with study.yaml, line.py and, under runs/line, what came of running it; not to be changed."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(STUDIES / "line.py", folder)
    text = STUDY
    for old, new in CHANGES:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "study.yaml").write_text(text)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml", "--quiet"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def run_path(study: Path) -> Path:
    """The run directory of `study`; not to be changed."""
    return study / "runs" / "line"


@pytest.fixture
def own_run(run_path: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(run_path, tmp_path / "line")
