"""Whole studies in this process: run, compared, ended as a kill would end them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

import analysis
from sweep.api.run import Summary, run_study
from sweep.cli import app
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import load
from tests.sweep.conftest import Folder


def run(folder: Folder) -> Summary:
    """The folder's study, to its end."""
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


def sweep(folder: Folder, *arguments: str) -> Result:
    """The command line in the folder, without a process of its own."""
    with contextlib.chdir(folder.path):
        return CliRunner().invoke(app, arguments)


def table(folder: Folder) -> dict[int, tuple[str, float]]:
    """State and value of each trial."""
    trials = analysis.load(folder.run_dir).trials
    return dict(zip(trials.number, zip(trials.state, trials.value, strict=True), strict=True))


class Killed(Exception):
    """Stands for the death of the driver: nothing after it is done."""


def kill_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int, *, after: bool) -> None:
    """The `call`-th call of a method is the last thing that happens, done or not."""
    whole = getattr(owner, name)
    calls = 0

    def killing(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Killed
        value = whole(*arguments, **named)
        if calls == call:
            raise Killed
        return value

    monkeypatch.setattr(owner, name, killing)


def stop_after(folder: Folder, monkeypatch: pytest.MonkeyPatch, event: str, count: int) -> None:
    """Run until the log holds so many records of a kind."""
    step = Driver.step

    def stepping(self: Driver) -> None:
        step(self)
        if (folder.run_dir / "log.jsonl").read_text().count(f'"event":"{event}"') >= count:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "step", stepping)
        with contextlib.suppress(Killed):
            run(folder)


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, go: Callable[[], object]) -> None:
    """Run until so many reports were recorded, and die."""
    record, calls = RunDir.record_reports, 0

    def killing(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == after:
            raise KeyboardInterrupt
        return record(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "record_reports", killing)
        with pytest.raises(KeyboardInterrupt):
            go()
