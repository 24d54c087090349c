"""What importing loads: the command line answers at once, so it loads none of the heavy libraries."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("mlx", "optuna", "pandas", "pyarrow", "ray")
UNREAD = ("optuna", "pandas", "pydantic", "ruamel.yaml", "typer")
"""What reads study files and tables, which a worker does not."""

MODULES = ("sweep", "sweep.spec", "sweep.scheduler", "sweep.cli", "clusters.commands")


@pytest.mark.parametrize("module", [name for name in MODULES if importlib.util.find_spec(name)])
def test_importing_loads_no_heavy_library(module: str) -> None:
    assert loaded(module, HEAVY) == []


def test_a_worker_loads_nothing_that_reads_study_files() -> None:
    assert loaded("sweep.worker.worker", UNREAD) == []


def loaded(module: str, of: tuple[str, ...]) -> list[str]:
    """Which of some libraries are there once a module is imported."""
    program = f"import sys, {module}; print(*sorted({set(of)!r} & sys.modules.keys()))"
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
