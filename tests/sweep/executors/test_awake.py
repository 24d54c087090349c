"""Sleep is held off while a study runs, by what the machine has; the programs are canned ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sweep.executors import awake
from tests.processes import wait_until
from tests.sweep.conftest import ROOT, Folder

CANNED = '#!/bin/sh\necho "$0 $@" >> "{said}"\necho $$ >> "{pids}"\nexec sleep 60\n'


class Programs:
    """Programs on the PATH that say how they were called, and stay."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said, self.pids = path / "said", path / "pids"

    def put(self, name: str) -> None:
        program = self.path / name
        program.write_text(CANNED.format(said=self.said, pids=self.pids))
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """What was called, once anything was."""
        wait_until(lambda: self.pids.exists() and self.pids.read_text())
        return [line.removeprefix(f"{self.path}/") for line in self.said.read_text().splitlines()]

    def live(self) -> list[int]:
        pids = [int(line) for line in self.pids.read_text().split()] if self.pids.exists() else []
        return [pid for pid in pids if psutil.pid_exists(pid)]

    def end(self) -> None:
        """Kill what a failed test has left running."""
        for pid in self.live():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("sleep", "tail", "sh"):
        (path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(awake, "SYSTEM_PATH", str(path))
    canned = Programs(path)
    yield canned
    canned.end()


def test_a_mac_is_held_awake_as_long_as_the_block_runs(programs: Programs) -> None:
    programs.put("caffeinate")
    with awake.awake():
        assert programs.calls() == [f"caffeinate -is -w {os.getpid()}"]
        assert programs.live()
    assert not programs.live()


def test_a_linux_machine_is_held_awake_until_the_process_ends(programs: Programs) -> None:
    programs.put("systemd-inhibit")
    with awake.awake():
        said = programs.calls()
        assert said == [
            "systemd-inhibit --what=sleep:idle --who=sweep --why=a study runs --mode=block "
            f"{programs.path}/tail --pid={os.getpid()} -f /dev/null"
        ]
    assert not programs.live()


def test_where_neither_is_there_or_starts_the_block_runs_all_the_same(programs: Programs) -> None:
    with awake.awake():
        assert awake.command(1) is None
    broken = programs.path / "caffeinate"
    broken.write_text("not a program")
    broken.chmod(0o755)
    with awake.awake():
        assert awake.command(1) is not None


@pytest.mark.slow
def test_what_a_killed_driver_held_ends_with_it(folder: Folder, programs: Programs) -> None:
    """The real way of ending: `tail --pid`, as systemd-inhibit would hold it."""
    inhibit = programs.path / "systemd-inhibit"
    inhibit.write_text(f'#!/bin/sh\necho $$ >> "{programs.pids}"\nshift 4\nexec "$@" -s 0.1\n')
    inhibit.chmod(0o755)
    code = (
        "from sweep.executors import awake; import time; "
        "awake.SYSTEM_PATH = ''; awake.hold_awake(); time.sleep(60)"
    )
    environment = {"PATH": str(programs.path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as driver:
        try:
            wait_until(programs.live)
        finally:
            driver.kill()
    wait_until(lambda: not programs.live())


@pytest.mark.slow
def test_a_study_holds_the_machine_awake(
    folder: Folder, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("caffeinate")
    ended = folder.sweep("run", "study.yaml", "--no-report")
    assert ended.returncode == 0, ended.stderr
    assert len(programs.calls()) == 1
    assert not programs.live()
