"""The gate at which a study's trials wait for a test."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sweep.worker.worker
from tests import gate
from tests.processes import wait_until

assert sweep.worker.worker, "only a process that has it trains"


def test_what_trains_is_held_after_so_many_reports_until_the_gate_is_opened(tmp_path: Path) -> None:
    shut = gate.Gate(tmp_path)
    gate.wait(tmp_path)
    shut.shut(after=2)
    with ThreadPoolExecutor(1) as thread:
        for _ in range(2):
            gate.wait(tmp_path)
        assert shut.held() == []
        held = thread.submit(gate.wait, tmp_path)
        wait_until(shut.held)
        assert shut.held() == [os.getpid()]
        shut.shut(after=1)
        held.result(timeout=300)
        assert shut.held() == []
        held = thread.submit(gate.wait, tmp_path)
        wait_until(shut.held)
        shut.open()
        held.result(timeout=300)
    gate.wait(tmp_path)


def test_a_gate_that_was_forgotten_fails_all_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "HELD_S", 0.0)
    gate.Gate(tmp_path).shut(after=0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"the gate was shut for 0 s\. Have the test open it"):
            gate.wait(tmp_path)
    assert gate.Gate(tmp_path).held() == []


def test_a_task_is_described_while_the_gate_is_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sweep.worker.worker")
    gate.Gate(tmp_path).shut(after=0)
    gate.wait(tmp_path)
