"""A user's files with the names of our packages: our code runs, and the task imports the user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import analysis
from ray_contract import PACKAGES
from tests.sweep.conftest import ON_RAY, ROOT, Folder

NEIGHBOURS = [name for name in PACKAGES if name not in ("sweep", "train_core")]

TASK = """\
import {name} as at_import
from line import Line as Plain


class Line(Plain):
    def data(self):
        import {name} as later
        assert later is at_import and at_import.WHOSE == "the user's", at_import
        return super().data()
"""


def with_neighbour(folder: Folder, name: str) -> None:
    (folder.path / f"{name}.py").write_text('WHOSE = "the user\'s"\n')
    (folder.path / "own.py").write_text(TASK.format(name=name))
    folder.study.write_text(folder.study.read_text().replace("line.py:Line", "own.py:Line"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_task_imports_its_neighbour_and_all_of_ours_runs(folder: Folder, name: str) -> None:
    with_neighbour(folder, name)
    ended = folder.sweep("run", "study.yaml")
    assert ended.returncode == 0, ended.stderr
    if name == "analysis":
        ended = folder.sweep("report", "runs/line")
        assert ended.returncode == 0, ended.stderr
    assert set(analysis.load(folder.run_dir).trials.state) == {"COMPLETE"}


@pytest.mark.slow
def test_in_rays_workers_too(folder: Folder) -> None:
    folder.write(("executor: inline\n", ON_RAY))
    with_neighbour(folder, "runlog")
    ended = folder.sweep("run", "study.yaml")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sweep", "train_core"])
@pytest.mark.parametrize("executor", ["executor: inline\n", ON_RAY], ids=["inline", "ray"])
def test_a_file_with_the_name_of_what_a_task_is_written_with_changes_nothing(
    folder: Folder, name: str, executor: str
) -> None:
    """Of the console script: `python -m sweep` is asked for the user's sweep.py itself."""
    folder.write(("executor: inline\n", executor))
    (folder.path / f"{name}.py").write_text("raise SystemExit('the user\\'s')\n")
    script = folder.path / "bin" / "run"
    script.parent.mkdir()
    script.write_text("from sweep.cli import main\nmain()\n")
    driver = folder.start_command(sys.executable, str(script), "run", "study.yaml")
    said, _ = driver.communicate()
    assert driver.returncode == 0, said
    assert set(analysis.load(folder.run_dir).trials.state) == {"COMPLETE"}


def test_our_packages_are_all_where_sweep_is() -> None:
    import sweep

    assert Path(sweep.__file__).parents[1] == ROOT
    assert all((ROOT / name / "py.typed").is_file() for name in PACKAGES)
