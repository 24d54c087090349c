"""Signals that end a study in order, or at once; on Ray as a terminal sends them, to the whole group."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import pytest

import analysis
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.driver.signals import interrupting
from sweep.executors.inline import InlineExecutor
from sweep.spec.parse import load
from tests.logs import records
from tests.processes import actors, children, read_until, title, wait_for, wait_until
from tests.sweep.conftest import GATED, ON_RAY, Folder
from tests.sweep.ten_trials import check_whole

pytestmark = pytest.mark.slow


def started(folder: Folder, *, after: int = 4) -> subprocess.Popen[str]:
    """A study of which a trial has ended and others are held at the gate after their first reports."""
    before = len(records(folder.run_dir, "told"))
    folder.gate.shut(after=after)
    driver = folder.start("run", "study.yaml")
    wait_for(lambda: len(records(folder.run_dir, "told")) > before and folder.gate.held(), driver)
    return driver


LOOKED_AT = """\
import time
from pathlib import Path

Path(__file__).with_name("looked-at").touch()
time.sleep(300)


class Line: ...
"""


def test_ctrl_c_while_a_task_is_looked_at_prints_no_traceback(folder: Folder) -> None:
    """It goes to the whole group of the terminal; the process that loads the task is in one of its own."""
    (folder.path / "slow.py").write_text(LOOKED_AT)
    folder.write(("line.py:Line", "slow.py:Line"))
    process = folder.start("check", "study.yaml")
    wait_for(lambda: (folder.path / "looked-at").exists(), process)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said


def test_a_signal_to_end_saves_what_runs_and_the_same_command_resumes(folder: Folder) -> None:
    folder.write(GATED)
    for number in (signal.SIGTERM, signal.SIGHUP):
        driver = started(folder)
        os.kill(driver.pid, number)
        folder.gate.open()
        said, _ = driver.communicate(timeout=300)
        assert driver.returncode == 130, said
        assert "Resume with: python -m sweep run study.yaml" in said
        assert records(folder.run_dir, "closed")[-1]["reason"] == "interrupted"
    assert folder.sweep("run", "study.yaml").returncode == 0


# Fault 11: a study started with nohup, or with `&`, ended with its terminal.
IGNORING = """
import signal
from sweep.cli import main
for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
main()
"""


def test_invariant_13_a_signal_that_was_ignored_at_the_start_stays_ignored(folder: Folder) -> None:
    folder.write(GATED)
    folder.gate.shut(after=4)
    driver = folder.start_python("-c", IGNORING, "run", "study.yaml")
    wait_for(folder.gate.held, driver)
    for number in (signal.SIGHUP, signal.SIGINT) * 2:
        os.kill(driver.pid, number)
    folder.gate.open()
    said, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, said
    assert "stopping" not in said
    assert records(folder.run_dir, "closed")[-1]["reason"] == "finished"


def test_signals_are_handled_as_before_once_a_study_has_ended() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts: list[int] = []
    try:
        with interrupting(lambda: interrupts.append(1), lambda text: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)
            assert interrupts == [1]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_hangs_up_twice_ends_a_study_in_order() -> None:
    interrupts: list[int] = []
    with interrupting(lambda: interrupts.append(1), lambda text: None):
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert interrupts == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_in_the_midst_of_a_print_ends_a_study_in_order() -> None:
    """A terminal that is slow, or stopped by Ctrl-S, has the signal handled while a line is written."""
    taken, given = os.pipe()
    interrupts: list[int] = []
    printed = threading.Event()
    with os.fdopen(given, "w") as shown, os.fdopen(taken, "rb") as screen, ThreadPoolExecutor(1) as thread:

        def signal_and_read() -> None:
            wait_until(lambda: not select.select([], [given], [], 0)[1])  # it is full: the print waits
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            wait_until(lambda: interrupts == [1])
            while not printed.is_set():
                if select.select([screen], [], [], 0.05)[0]:
                    screen.read1(1 << 20)

        with interrupting(lambda: interrupts.append(1), lambda text: print(text, file=shown, flush=True)):
            read = thread.submit(signal_and_read)
            print("x" * 200_000, file=shown, flush=True)
            printed.set()
            read.result(timeout=300)
    assert interrupts == [1]


IN_A_TERMINAL = """
import fcntl, termios
from sweep.cli import main
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
main()
"""


def test_a_terminal_that_is_closed_leaves_what_runs_saved(folder: Folder) -> None:
    """Its output raised an error, which ended the study before anything was saved."""
    folder.write(GATED)
    folder.gate.shut(after=4)
    screen, terminal = pty.openpty()
    driver = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, "run", "study.yaml"],
        cwd=folder.path,
        env=folder.environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    with ThreadPoolExecutor(1) as thread, os.fdopen(screen, "rb", buffering=0) as shown:
        emptied = thread.submit(_emptied, shown, until=lambda: bool(folder.gate.held()))
        emptied.result(timeout=300)
    folder.gate.open()
    try:
        driver.wait(timeout=300)
    finally:
        driver.kill()
        driver.wait()
    assert records(folder.run_dir, "closed")[-1]["reason"] == "interrupted"
    unfinished = {each["trial"] for each in records(folder.run_dir, "asked")}
    unfinished -= {each["trial"] for each in records(folder.run_dir, "told")}
    assert unfinished & {each["trial"] for each in records(folder.run_dir, "checkpoint")}


def _emptied(screen: IO[bytes], *, until: Callable[[], bool]) -> None:
    """Read what is shown: a terminal that nobody reads holds its writer up."""
    while not until():
        if select.select([screen], [], [], 0.1)[0]:
            screen.read(4096)


def test_a_signal_while_nothing_runs_that_could_be_saved_ends_what_goes_on() -> None:
    interrupts: list[int] = []
    with (
        pytest.raises(KeyboardInterrupt),
        interrupting(lambda: interrupts.append(1), lambda text: pytest.fail(text), at_once=lambda: True),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert interrupts == [1]


def test_a_signal_while_ray_starts_ends_the_study_at_once_and_in_order(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray takes many seconds on a busy machine."""

    def start(executor: InlineExecutor) -> None:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    with monkeypatch.context() as patch:
        patch.setattr(InlineExecutor, "start", start)
        summary = run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    assert (summary.reason, summary.counts["COMPLETE"]) == ("interrupted", 0)
    assert records(folder.run_dir, "closed")[-1]["reason"] == "interrupted"
    assert run_study(load(folder.study), runs=folder.runs, progress=Quiet()).counts["COMPLETE"] == 4


def test_a_study_runs_off_the_main_thread_and_leaves_signals_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 14."""
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as thread:
        summary = thread.submit(
            lambda: run_study(load(folder.study), runs=folder.runs, progress=Quiet())
        ).result(timeout=300)
    assert summary.counts["COMPLETE"] == 4
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def ray_folder(folder: Folder) -> Folder:
    folder.write(
        GATED, ("executor: inline\n", ON_RAY), ("epochs: 3", "epochs: 6"), ("trials: 4", "trials: 10")
    )
    return folder


def test_ctrl_c_twice_in_a_terminal_reaches_ray_too_and_loses_nothing(ray_folder: Folder) -> None:
    """Once: tests/selftest/test_selftest.py, with Ray as on macOS tests/sweep/executors/test_ray_own.py."""
    driver = started(ray_folder, after=8)
    os.killpg(driver.pid, signal.SIGINT)
    said = read_until(driver, "stopping: finishing the current steps")
    os.killpg(driver.pid, signal.SIGINT)
    said += driver.communicate(timeout=300)[0]
    ray_folder.gate.open()
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    assert not actors(driver.pid)
    ray_folder.without_ray()
    ended = ray_folder.sweep("run", "study.yaml")
    assert ended.returncode == 0, ended.stderr
    check_whole(ray_folder)


def test_a_hung_trial_is_ended_from_outside_and_the_study_goes_on(ray_folder: Folder) -> None:
    ray_folder.write(
        ("executor: inline\n", ON_RAY),
        ("line.py:Line", "line.py:Faulty"),
        ("  accumulation_steps: {choices: [1, 2]}\n", "  fault: {choices: [none, hang]}\n"),
        ("length: {epochs: 3}", "length: {epochs: 3}, timeout: 2s"),
        ("trials: 4}", "trials: 3}\nenqueue: [{fault: hang}, {fault: none}, {fault: none}]"),
    )
    code = "import sweep.driver.limits as p; p.GRACE_S = 6.0; from sweep.cli import main; main()"
    driver = ray_folder.start_python("-c", code, "run", "study.yaml")
    said, _ = driver.communicate(timeout=300)
    trials = analysis.load(ray_folder.run_dir).trials
    assert driver.returncode == 0, said
    assert list(trials.state) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "timed out: no answer for" in trials.reason[0]


def test_ray_killed_under_a_study_loses_nothing(ray_folder: Folder) -> None:
    driver = started(ray_folder, after=8)
    (raylet,) = [pid for pid in children(driver.pid) if "/raylet/raylet" in title(pid).split("\0")[0]]
    assert len(records(ray_folder.run_dir, "told")) < 10
    os.kill(raylet, signal.SIGKILL)
    ray_folder.gate.open()
    driver.communicate(timeout=300)
    if len(records(ray_folder.run_dir, "told")) < 10:
        ray_folder.without_ray()
        ended = ray_folder.sweep("run", "study.yaml")
        assert ended.returncode == 0, ended.stderr
    check_whole(ray_folder)
