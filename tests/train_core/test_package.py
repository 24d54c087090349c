"""The public names, and what importing them loads."""

from __future__ import annotations

import subprocess
import sys

import train_core


def test_public_names_are_sorted_and_all_there() -> None:
    assert train_core.__all__ == sorted(train_core.__all__)
    assert all(hasattr(train_core, name) for name in train_core.__all__)


def test_hyperparameters_and_errors_load_no_mlx() -> None:
    code = "import sys, train_core.hyperparameters, train_core.errors; print('mlx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
