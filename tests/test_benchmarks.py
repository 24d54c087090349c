"""Benchmarks are programs: each starts when it is called by its file's name, and says what it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "benchmarks"
PARTS = {
    "__init__",
    "before",
    "measure",
    "ours",
    "population_tune",
    "realistic_loops",
    "realistic_models",
    "realistic_torch",
    "search_objectives",
    "small_models",
    "toy",
    "toy_function",
}
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.stem not in PARTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_it_starts_as_a_file(script: Path) -> None:
    """Then its own folder comes first where Python looks: no script may be called like a package of ours."""
    command = [sys.executable, str(script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.parametrize("name", ["first_report", "scaling", "step", "studies"])
def test_a_ratio_of_one_round_is_refused_at_once(name: str) -> None:
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("--rounds must be at least 2, but got 1\n")
