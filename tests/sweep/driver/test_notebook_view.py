"""In a notebook progress is one output that is updated; what a cell's command prints there are lines."""

from __future__ import annotations

import os
import pty
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from sweep.driver.monitor import notebook_view
from sweep.driver.monitor.choosing import is_run_by_a_kernel, progress_for
from sweep.driver.monitor.notebook_view import NotebookView, is_in_a_notebook
from sweep.driver.monitor.progress import Lines
from tests.sweep.driver.views import VIEW


@dataclass
class Output:
    """What a cell shows: the output's first state, and each that replaced it."""

    states: list[dict[str, str]] = field(default_factory=list)

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.states.append(data)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    output = Output()

    def first(data: dict[str, str]) -> Output:
        assert not output.states, "there is one output"
        output.states.append(data)
        return output

    monkeypatch.setattr(notebook_view, "new_output", first)
    return output


def test_one_output_is_updated_in_place(output: Output) -> None:
    view = NotebookView("digits")
    view.stage("starting workers")
    assert output.states[-1]["text/plain"] == "digits\n        starting workers ..."
    for _ in range(100):
        view.show(VIEW)
    view.note("trial 3 failed: <lost>")
    view.close()
    assert len(output.states) <= 4
    last = output.states[-1]
    assert '<progress value="16" max="32">' in last["text/html"]
    assert "12 complete, 3 pruned, 1 fail, 8 running, 32 in all" in last["text/html"]
    assert "trial 3 failed: &lt;lost&gt;" in last["text/html"]
    assert "trial 3 failed: <lost>" in last["text/plain"]


def test_an_interrupt_is_called_by_its_name(output: Output) -> None:
    NotebookView("digits").note("stopping: saving checkpoints. Ctrl-C again stops immediately")
    assert "saving checkpoints. Interrupting it again stops immediately" in output.states[-1]["text/plain"]


def test_only_the_last_messages_are_shown(output: Output) -> None:
    view = NotebookView("digits")
    for number in range(40):
        view.note(f"message {number}")
    lines = output.states[-1]["text/plain"].splitlines()
    assert [line for line in lines if "message" in line] == [f"message {n}" for n in range(28, 40)]


def test_a_kernel_is_told_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_in_a_notebook()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert isinstance(progress_for("digits"), NotebookView)
    del shell.kernel
    assert not is_in_a_notebook()


def test_a_command_of_a_cell_prints_lines_though_it_has_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 26: the terminal of `!sweep run` keeps each redrawing of a live view."""
    kernel = {"TERM": "xterm-color", "PAGER": "cat", "GIT_PAGER": "cat"}
    for name, value in kernel.items():
        monkeypatch.setenv(name, value)
    master, slave = pty.openpty()
    with open(slave, "w") as terminal, open(master, "rb"):
        monkeypatch.setattr(sys, "stderr", terminal)
        assert isinstance(progress_for("digits"), Lines)
        monkeypatch.setenv("PAGER", "less")
        assert not isinstance(progress_for("digits"), Lines)
    assert is_run_by_a_kernel({**os.environ, **kernel})
