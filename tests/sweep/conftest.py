"""A small study in a folder of its own, run in this process or by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.vocabulary.turn import TaskRef
from tests.gate import Gate

STUDIES = Path(__file__).parent / "studies"
ROOT = Path(__file__).parent.parent.parent

STUDY = """\
name: line
seed: 3
task: line.py:Line
objective: {metric: validation_loss, direction: minimize}
executor: inline
lanes: 1
space:
  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
  accumulation_steps: {choices: [1, 2]}
fixed: {optimizer: sgd, slow: 0.0}
trial: {micro_batch_size: 16, length: {epochs: 3}}
sampler: {name: random}
budget: {trials: 4}
"""

ON_RAY = "executor: {name: ray, dashboard: false}\n"
"""Ray's dashboard costs seconds a start; tests that need it say `executor: ray`."""

GATED = ("line.py:Line", "gated.py:Line")
"""Holds the study's trials at `Folder.gate` while that is shut, so that a test can act on them."""


class Folder:
    """Where a study lies and its runs go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study = path / "study.yaml"
        self.runs = path / "runs"
        self.gate = Gate(path)
        for name in ("line.py", "gated.py"):
            shutil.copy(STUDIES / name, path)
        self.python_path = [str(ROOT)]
        self._started: list[subprocess.Popen[str]] = []
        self.write()

    def write(self, *changes: tuple[str, str]) -> Path:
        """The study with parts of its text replaced."""
        text = STUDY
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.study.write_text(text)
        return self.study

    def without_ray(self) -> None:
        """From now on the study trains in the command's own process."""
        text = self.study.read_text()
        assert ON_RAY in text
        self.study.write_text(text.replace(ON_RAY, "executor: inline\n"))

    @property
    def run_dir(self) -> Path:
        return self.runs / "line"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join(self.python_path), "MLX_DISABLE_COMPILE": "1"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "sweep", *arguments]

    def sweep(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`python -m sweep ...` in this folder."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        return self.start_python("-m", "sweep", *arguments)

    def start_python(self, *arguments: str) -> subprocess.Popen[str]:
        """Python in this folder, leading a process group of its own."""
        return self.start_command(sys.executable, *arguments)

    def start_command(self, *command: str, stdin: int | None = None) -> subprocess.Popen[str]:
        """A command in this folder, leading a process group of its own."""
        process = subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end_started(self) -> None:
        """Kill what a failed test has left running, and close all pipes: a later test would be warned."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@pytest.fixture
def described_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """For studies of which a task's description in a process of its own is not what is tested."""

    def ask(ref: TaskRef, request: dict[str, Any]) -> Any:
        from sweep.worker.describe_task import answer

        return json.loads(json.dumps(answer(request)))

    monkeypatch.setattr("sweep.driver.processes.describe._ask", ask)


@pytest.fixture
def without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """For studies of which compilation is not what is tested."""
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")


@pytest.fixture
def uncompiled(without_compiling: None, described_here: None) -> None:
    """Both: for studies of which neither is what is tested."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    study = Folder(tmp_path)
    yield study
    study.end_started()
