"""A task's file as it is when it is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from train_core.loading import TaskLoadError, load_object


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


def test_a_task_of_a_notebook_is_told_how_it_comes_along() -> None:
    """Fault 24: it said that `__main__` has no class Mine, and that it found `__main__:Mine`."""
    with pytest.raises(TaskLoadError) as raised:
        load_object("", "__main__:Mine", "class")
    assert str(raised.value) == (
        "Mine of __main__, a notebook or a script, is known to no other process. "
        "Pass it itself, task=Mine, or write it into a file and name that: file.py:Mine"
    )
