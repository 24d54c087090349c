"""A Ray of the study's own where it is as on macOS: who can stop the study, and what ends with it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import tests.mac
from tests.logs import records
from tests.processes import actors, children, read_until, title, wait_for, wait_until, wait_until_gone
from tests.sweep.conftest import GATED, ON_RAY, Folder

AS_ON_MACOS = Path(tests.mac.__file__).parent / "ray_as_on_macos"
TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"
"""Runs a command in a terminal, at which is typed what comes to stdin."""

CTRL_C = "\x03"


@pytest.fixture
def on_a_mac(folder: Folder) -> Folder:
    folder.write(GATED, ("executor: inline\n", ON_RAY), ("trials: 4", "trials: 10"))
    folder.python_path.insert(0, str(AS_ON_MACOS))
    folder.gate.shut(after=1)
    return folder


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_under_make_ends_a_study_where_ray_is_as_on_macos(
    on_a_mac: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal sends it to the group in front: make's, a script's, `uv run`'s."""
    monkeypatch.setenv("TERM", "dumb")  # without a live view, which would fill the pipe
    (on_a_mac.path / "Makefile").write_text(f"run:\n\t{shlex.join(on_a_mac.command('run', 'study.yaml'))}\n")
    terminal = on_a_mac.start_command(sys.executable, "-c", TERMINAL, "make", "run", stdin=subprocess.PIPE)
    wait_for(on_a_mac.gate.held, terminal)
    left = children(terminal.pid)
    (make,) = [pid for pid in left if title(pid).startswith("make\0")]
    reapers = [pid for pid in left if "ray_process_reaper.py" in title(pid)]
    assert reapers, "Ray is not as on macOS"
    assert os.getpgid(reapers[0]) != os.getpgid(make), "with the driver Ray ends its own group, not make's"
    assert terminal.stdin is not None
    terminal.stdin.write(CTRL_C)
    terminal.stdin.flush()
    said = read_until(terminal, "stopping: finishing the current steps")
    on_a_mac.gate.open()
    said += terminal.communicate(timeout=300)[0]
    assert "Resume with: python -m sweep run study.yaml" in said
    assert "Traceback" not in said
    assert records(on_a_mac.run_dir, "checkpoint"), "what ran is saved"
    assert records(on_a_mac.run_dir, "closed")[-1]["reason"] == "interrupted"
    wait_until_gone(left)


@pytest.mark.slow
def test_a_killed_driver_takes_its_workers_with_it_where_ray_is_as_on_macos(on_a_mac: Folder) -> None:
    driver = on_a_mac.start("run", "study.yaml")
    wait_for(on_a_mac.gate.held, driver)
    workers = actors(driver.pid)
    assert set(on_a_mac.gate.held()) <= set(workers)
    driver.kill()
    wait_until(lambda: not any(map(psutil.pid_exists, workers)), what="workers to end")
