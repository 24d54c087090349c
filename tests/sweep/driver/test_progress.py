"""What a person sees while a study runs, in narrow and wide terminals and where there is none."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import struct
import sys
from dataclasses import replace
from fcntl import ioctl
from pathlib import Path
from subprocess import Popen
from termios import TIOCSWINSZ

import pytest
from rich.console import Console

import sweep
from sweep.driver.monitor.choosing import progress_for
from sweep.driver.monitor.live_view import LiveView, live_table
from sweep.driver.monitor.progress import BestSoFar, Lines, Quiet, StudyView, duration, one_line, time_left_s
from tests.sweep.conftest import STUDIES, Folder
from tests.sweep.driver.views import VIEW as PLAIN

BEST = BestSoFar(
    9, 0.98765432, {"learning_rate": 0.0123456, "optimizer": "adamw", "momentum": None, "hidden": 64}
)
VIEW = replace(PLAIN, best=BEST)
SHOWN = (
    "12 complete, 3 pruned, 1 fail, 8 running, 32 in all", "7 of 8 lanes busy, 2 of 2 slots busy",
    "123,457 examples/s", "0.987654, trial 9: learning_rate=0.01235 optimizer=adamw", "hidden=64",
    "1m 04s, about 1m 04s left",
)  # fmt: skip


def drawn(view: StudyView, width: int, name: str = "digits") -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(
        live_table(name, view, width)
    )
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [20, 60, 80, 160])
@pytest.mark.parametrize("name", ["digits", "a-very-long-name-of-a-study-that-somebody-chose"])
def test_all_is_shown_in_any_terminal(width: int, name: str) -> None:
    lines = drawn(VIEW, width, name)
    assert max(map(len, lines)) <= width
    told = re.sub(r"\s+", "", "".join(re.sub(r"^(trials|lanes|speed|best|time)", "", line) for line in lines))
    for text in SHOWN:
        assert text.replace(" ", "") in told


def test_before_anything_happened() -> None:
    view = StudyView({}, 0, None, 0, 0, 0, 0, 0.0, 0.0)
    text = "\n".join(drawn(view, 80))
    assert "none ended yet" in text
    assert "waiting for workers" in text
    assert time_left_s(view) is None


def test_what_is_left_goes_by_the_trials_of_this_session() -> None:
    resumed = replace(VIEW, earlier=12)  # 4 trials in 64 s, 16 to go
    assert time_left_s(resumed) == 256.0
    assert time_left_s(replace(VIEW, earlier=16)) is None


@pytest.mark.slow
@pytest.mark.usefixtures("described_here")
def test_a_session_counts_the_trials_that_ended_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown: list[StudyView] = []

    class Shown(Quiet):
        def show(self, view: StudyView) -> None:
            shown.append(view)

    shutil.copy(STUDIES / "functions.py", tmp_path)
    for trials in (2, 5):
        sweep.run(
            task="functions.py:value",
            name="study",
            objective="loss",
            direction="minimize",
            executor="inline",
            space={"learning_rate": {"low": 0.01, "high": 0.4}},
            budget=trials,
            progress=Shown(),
        )
        last = shown[-1]
        assert (last.done, last.earlier) == (trials, 0 if trials == 2 else 2)


def test_the_panel_draws_seldom_and_ends_with_what_came_last() -> None:
    file = io.StringIO()
    shown = LiveView("digits", Console(file=file, width=80, force_terminal=True))
    for running in range(1000):
        shown.show(replace(VIEW, running=running))
    often = file.getvalue().count("running")
    shown.note("mac-2 went to sleep")
    shown.close()
    assert often <= 2
    assert "999 running" in file.getvalue()
    assert "mac-2 went to sleep" in file.getvalue()


def test_quiet_prints_what_went_wrong_alone(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Quiet()
    for silent in (progress.tip, progress.stage):
        silent("no word of this")
    progress.show(VIEW)
    progress.note("trial 3 failed")
    progress.close()
    assert capsys.readouterr().err == "trial 3 failed\n"


def test_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(progress_for("digits"), LiveView)


def test_a_line_says_what_is_unusual() -> None:
    assert "waiting for workers, stopping" in one_line(replace(VIEW, slots=0, stopping=True))
    assert one_line(replace(VIEW, best=None, examples_per_s=0.0, budget=None)) == (
        "16 trials, 8 running, 3 pruned, 1 fail, 1m 04s"
    )
    assert duration(3725) == "1h 02m"


def test_lines_come_when_a_trial_has_ended_or_some_seconds_have_passed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Lines("digits")
    progress.stage("starting")
    progress.tip("a dashboard")
    progress.show(VIEW)
    progress.show(VIEW)
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "digits: starting", "a dashboard", f"digits: {one_line(VIEW)}"
    ]  # fmt: skip


def test_lines_have_no_colour_and_no_control(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for("digits")
    assert isinstance(progress, Lines)
    progress.show(VIEW)
    said = capsys.readouterr().err
    assert said.rstrip() == f"digits: {one_line(VIEW)}"
    assert said.isascii()
    assert said.rstrip().isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 160])
def test_a_run_in_a_real_terminal(folder: Folder, columns: int) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**folder.environment(), "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES"):  # would count for more than the terminal's own size
        environment.pop(name, None)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml"]
    running = Popen(command, cwd=folder.path, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while block := _read(ours):
        seen += block
    os.close(ours)
    assert running.wait(300) == 0
    lines = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen).decode().splitlines()
    wide = [line for line in lines if len(line.rstrip()) > columns and not line.startswith("tables:")]
    assert wide == []
    assert any("4 complete, 0 running, 4 in all" in line for line in lines)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other side is closed
        return b""
