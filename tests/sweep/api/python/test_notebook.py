"""examples/notebook/study.ipynb: executed, its kernel killed in the middle, executed again."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

import sweep
from analysis.run import Run
from tests.analysis.conftest import environment
from tests.logs import records

NOTEBOOK = Path(__file__).parents[4] / "examples" / "notebook" / "study.ipynb"


KILLED = """\
import os
import signal

from sweep.rundir.rundir import RunDir

record, records = RunDir.record_reports, []


def recording(run, reports, *arguments, **named):
    record(run, reports, *arguments, **named)
    records.extend(reports)
    if len(records) >= 30:
        os.kill(os.getpid(), signal.SIGKILL)


RunDir.record_reports = recording
"""
"""A cell that has its kernel killed in the midst of the study."""


@pytest.mark.slow
def test_the_notebook_runs_and_resumes_after_its_kernel_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**environment(), "MLX_DISABLE_COMPILE": "1"}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    killed = deepcopy(notebook)
    killed.cells.insert(0, nbformat.v4.new_code_cell(KILLED))
    with pytest.raises(DeadKernelError):
        NotebookClient(killed, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    assert 0 < len(records(tmp_path / "runs" / "fit", "report")) < 160
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    _check_resumed(sweep.load(tmp_path / "runs" / "fit"))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [
        "".join(str(output.get("data", {}).get("text/html", "")) for output in cell.outputs) for cell in cells
    ]
    assert "8 complete, finished" in shown[1]
    assert shown[1].count("<progress") == 1, "progress is one output, updated in place"
    assert "4 complete, finished" in shown[3]
    assert "6 complete, finished" in shown[4]
    assert "Warning" not in str(notebook.cells), "no library warns in a cell"
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


def _check_resumed(found: Run) -> None:
    assert list(found.sessions.reason.fillna("killed")) == ["killed", "finished"]
    assert found.metrics.groupby("trial").size().tolist() == [20] * 8
    assert not found.metrics.duplicated(["trial", "examples"]).any()


def test_no_outputs_are_committed() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
