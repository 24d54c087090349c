"""The executor in the driver's own process: a GPU that fails for good ends the study, resumably."""

from __future__ import annotations

import shutil

import pytest

import analysis
from tests.sweep.conftest import STUDIES, Folder


@pytest.mark.slow
def test_a_gpu_that_refuses_the_process_ends_the_study_and_the_same_command_resumes_it(
    folder: Folder,
) -> None:
    """No trial fails: another worker in this process would be refused as well."""
    shutil.copy(STUDIES / "watchdog.py", folder.path / "watchdog.py")
    folder.write(("task: line.py:Line", "task: watchdog.py:Line"))
    ended = folder.sweep("run", "study.yaml")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert "the GPU refuses this process from now on" in ended.stderr
    assert "run the same command to resume" in ended.stderr
    assert "AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1" in ended.stderr
    again = folder.sweep("run", "study.yaml")
    assert again.returncode == 0, again.stderr
    folder.write()
    undisturbed = folder.sweep("run", "study.yaml", "--runs", "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    found, expected = (
        analysis.load(runs / "line").trials for runs in (folder.runs, folder.path / "undisturbed")
    )
    assert set(found.state) == {"COMPLETE"}
    assert list(found.value) == list(expected.value)
