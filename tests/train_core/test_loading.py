"""A task's file as it is when it is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from train_core.loading import load_object


def test_source_that_changes_within_a_second_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python takes cached bytecode for the file's where second and size are the same."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "task.py"
    for steps in (3, 4):
        file.write_text(f"def steps(): return {steps}\n")
        os.utime(file, (1e9, 1e9))
        assert load_object(str(tmp_path), "task.py:steps", "function")() == steps
