"""A study that runs in a thread of this process: `sweep.start(...)` returns at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, overload

from sweep.api.cluster import joined
from sweep.api.python.given import Given, StudyKeys, Task, given_study
from sweep.api.python.summary import Summary
from sweep.api.remote import is_elsewhere
from sweep.api.run import run_study
from sweep.api.status import Status, read_status
from sweep.driver.monitor.progress import StudyView, one_line
from sweep.driver.signals import Interrupter
from sweep.errors import SweepError
from sweep.rundir.naming import runs_folder
from sweep.spec.given import Study

if TYPE_CHECKING:
    from analysis.run import Run


@overload
def start(
    study: Study,
    *,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    accept_changed_task: bool = False,
) -> Handle: ...
@overload
def start(
    *,
    task: Task,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    accept_changed_task: bool = False,
    **keys: Unpack[StudyKeys],
) -> Handle: ...
def start(
    study: Study | None = None,
    *,
    task: Task | None = None,
    runs: str | Path = "runs",
    trials: int | None = None,
    cluster: str | Path | None = None,
    accept_changed_task: bool = False,
    **keys: Unpack[StudyKeys],
) -> Handle:
    """Run a study as `run` does, beside what this process does next; it ends with the process.

    Returns once the run directory is this study's own. Raises SweepError where it cannot be.
    """
    runs = runs_folder(runs).resolve()  # a program may change its folder while the study runs
    given = given_study(study, task, keys, runs=runs, trials=trials, cluster=cluster)
    if is_elsewhere(given.spec):
        raise SweepError(
            f"{given.spec.name}: its cluster is elsewhere. Start it there with python -m sweep run --detach"
        )
    handle = Handle(given, runs, accept_changed_task=accept_changed_task)
    handle.await_opened()
    return handle


class Handle:
    """A study that was started: how it stands, and what ends it.

    `messages` holds what `run` would have shown. A script ends when its started studies have.
    """

    def __init__(self, given: Given, runs: Path, *, accept_changed_task: bool) -> None:
        """Use `start`."""
        self.name = given.spec.name
        self.run_dir = runs / self.name
        self.messages: list[str] = []
        self._given = given
        self._accept = accept_changed_task
        self._interrupter = Interrupter()
        self._shown = _Shown(self.messages)
        self._summary: Summary | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"sweep {self.name}")
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def status(self) -> Status:
        """How the study stands, from its run directory."""
        return read_status(self.run_dir)

    @property
    def run(self) -> Run:
        """The run's tables as they are now: `.trials`, `.metrics`, `.best()`."""
        from analysis.load import load

        return load(self.run_dir)

    def stop(self) -> Summary:
        """End the study in order, as Ctrl-C does, and wait until its checkpoints are saved."""
        self._interrupter.interrupt()
        return self.wait()

    def wait(self, timeout_s: float | None = None) -> Summary:
        """Wait for its end, and give what `run` would. Raises TimeoutError, or what ended it.

        Interrupting this ends the waiting, not the study.
        """
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise TimeoutError(f"{self.name} has not ended within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        assert self._summary is not None
        return self._summary

    def await_opened(self) -> None:
        """Wait until the run directory is this study's. Raises what ended it before."""
        while not self._shown.opened.wait(0.05) and self._thread.is_alive():
            pass
        if not self._shown.opened.is_set() and self._error is not None:
            raise self._error

    def __repr__(self) -> str:
        view = self._shown.view
        text = one_line(view) if view is not None else "starting"
        return f"{self.name}: {text}{'' if self.running else ', ended'}"

    def _run(self) -> None:
        spec = self._given.spec
        try:
            self._summary = run_study(
                spec,
                runs=self.run_dir.parent,
                progress=self._shown,
                accept_changed_task=self._accept,
                cluster=joined(spec),
                source=self._given.source,
                interrupter=self._interrupter,
            )
        except BaseException as error:  # raised where the end is awaited
            self._error = error


class _Shown:
    """Keeps what a live view would show; `opened` is set once the run directory is held."""

    def __init__(self, messages: list[str]) -> None:
        self.opened = threading.Event()
        self.view: StudyView | None = None
        self._messages = messages

    def note(self, text: str) -> None:
        self._messages.append(text)

    def tip(self, text: str) -> None:
        self.note(text)

    def stage(self, text: str) -> None:
        self.opened.set()

    def show(self, view: StudyView) -> None:
        self.view = view

    def close(self) -> None:
        pass
