"""The process that looks at a task, when it does not come to an answer: one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sweep.driver.processes import describe
from sweep.errors import SweepError
from sweep.vocabulary.turn import TaskRef
from sweep.worker import describe_task
from tests.train_core.conftest import BASE, Small


@pytest.fixture
def leaving(tmp_path: Path) -> TaskRef:
    (tmp_path / "task.py").write_text("import os\nos._exit(7)\n")
    return TaskRef(str(tmp_path), "task.py:Task")


def said(task: TaskRef) -> str:
    with pytest.raises(SweepError) as caught:
        describe.describe(task, {}, key_line=None, file="study.yaml")
    return str(caught.value)


def test_invariant_10_a_process_that_cannot_be_started(
    leaving: TaskRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "a process to load the task in cannot be started: No such file" in said(leaving)


def test_invariant_10_a_process_that_takes_too_long(
    leaving: TaskRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe, "DEADLINE_S", 0.0)
    assert "the task did not load within 0 s; make data() quicker" in said(leaving)


def test_invariant_10_a_process_that_ends_by_itself(leaving: TaskRef) -> None:
    assert "the process that loads the task ended with code 7" in said(leaving)


def test_invariant_10_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(found: object) -> None:
        raise PermissionError(13, "Permission denied", "/data/train.jsonl")

    monkeypatch.setattr("train_core.reads.recorded", refused)
    monkeypatch.setattr(describe_task, "load_task", lambda ref: Small())
    asked = {"folder": "", "target": "", "trainable": "task", "purity": False}
    found = describe_task.answer(asked | {"hyperparameters": BASE})
    assert found["problem"].endswith(
        "in Small.reads: PermissionError: [Errno 13] Permission denied: '/data/train.jsonl'"
    )
