"""The notebook runs from its first cell to its last on a fresh run, and holds no outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.analysis.conftest import environment

NOTEBOOK = Path(__file__).parents[2] / "analysis" / "notebooks" / "study.ipynb"


@pytest.mark.slow
def test_the_notebook_walks_from_tables_to_a_conclusion(
    run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**environment(), "SWEEP_RUN": str(run_path)}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(run_path.parent))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    said = "".join(output.get("text", "") for output in cells[-1].outputs)
    assert "best: trial" in said
    assert "hyperparameters above chance:" in said
    assert sum("<figcaption>" in str(output) for cell in cells for output in cell.outputs) == 5


def test_no_outputs_are_committed() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
