"""A process with all that it starts: measured together, ended together, wherever its children went."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sweep.worker.command.family import MARK, Family
from sweep.worker.command.process import Process
from sweep.worker.footprint import own_peak_bytes
from tests.processes import living, wait_until

HELD = """
import os, time
held = bytearray(60_000_000)
held[::4096] = b"x" * len(held[::4096])
print(os.getpid(), flush=True)
time.sleep(1000)
"""

CHILD = """
import os, sys, time
if os.fork() == 0:
    if "away" in sys.argv:
        os.setsid()
    if "unmarked" in sys.argv:
        os.setsid()
        os.execve(sys.executable, [sys.executable, "-c", sys.argv[2]], {})
    held = bytearray(60_000_000)
    held[::4096] = b"x" * len(held[::4096])
    print(os.getpid(), flush=True)
time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["here", "away", "unmarked"])
def test_children_count_and_go_with_it(where: str, tmp_path: Path) -> None:
    environment = {**os.environ, MARK: where}
    process = Process([sys.executable, "-c", CHILD, where, HELD], folder=tmp_path, environment=environment)
    assert process.popen.stdout is not None
    child = int(process.popen.stdout.readline())
    assert process.family.measure() > 60_000_000
    assert process.family.take_peak_bytes() > 60_000_000
    assert process.family.cpu_s > 0
    assert process.exit_code() is None
    assert process.end(5.0, lambda: None) is False
    assert process.exit_code() == -15
    # a process that dies has no environment any more, and is there a while
    wait_until(lambda: not living([child]), what="its child to end")
    process.popen.stdout.close()
    assert process.popen.stderr is not None
    process.popen.stderr.close()


def ended(tmp_path: Path, code: str) -> Process:
    """A program that has ended, and was not looked at before."""
    environment = {**os.environ, MARK: "short"}
    process = Process([sys.executable, "-S", "-c", code], folder=tmp_path, environment=environment)
    wait_until(lambda: process.exit_code() is not None, what="the program to end")
    for stream in (process.popen.stdout, process.popen.stderr):
        assert stream is not None
        stream.close()
    return process


def test_the_peak_of_a_program_that_ends_at_once_is_what_its_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.process.own_peak_bytes", lambda: 0, raising=False)
    process = ended(tmp_path, "held = bytearray(60_000_000); held[::4096] = b'x' * len(held[::4096])")
    assert process.exit_code() == 0
    assert process.family.take_peak_bytes() > 60_000_000


def test_what_a_program_inherits_of_this_process_s_peak_is_not_its_own(tmp_path: Path) -> None:
    process = ended(tmp_path, "raise SystemExit(3)")
    assert process.exit_code() == 3
    assert process.family.take_peak_bytes() < own_peak_bytes()


@pytest.mark.parametrize("counts_files", [False, True])
def test_a_figure_that_counts_mapped_files_is_no_peak_of_what_was_measured(
    counts_files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.worker.command.family.PEAK_COUNTS_FILES", counts_files)
    family = Family("measured")
    family.begin(os.getpid())
    measured = family.measure()
    family.enter_peak(100 * measured)
    assert (family.take_peak_bytes() == 100 * measured) is not counts_files
