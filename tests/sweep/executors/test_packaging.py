"""What travels with a study to a cluster's nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.errors import SweepError
from sweep.executors import packaging
from sweep.executors.packaging import StudyPackage

REST = [".git", ".venv", "venv", "__pycache__"]


def test_runs_stay_where_they_are_and_the_drivers_own_code_travels(tmp_path: Path) -> None:
    found = StudyPackage(
        tmp_path, (tmp_path / "runs", tmp_path / "out" / "here", tmp_path.parent)
    ).runtime_env()
    assert found["working_dir"] == str(tmp_path)
    assert found["excludes"] == [*REST, "/out/here", "/runs"]
    assert [Path(module).name for module in found["py_modules"]] == [
        "sweep", "train_core", "lm", "configfile", "runlog", "ray_contract",
    ]  # fmt: skip
    assert all(Path(module, "__init__.py").is_file() for module in found["py_modules"])


def test_invariant_10_a_folder_that_is_too_large_is_refused_by_what_makes_it_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "LIMIT_BYTES", 5_000_000)
    for place, size in (("data/a", 4), ("data/b/c", 3), ("runs/x", 90), (".git/y", 90), ("sub/.venv/z", 90)):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size * 1_000_000)
    with pytest.raises(
        SweepError, match=r"too large .*: 7 MB, most of it in data \(7 MB\); the limit is 5 MB"
    ):
        StudyPackage(tmp_path, (tmp_path / "runs",)).runtime_env()
    (tmp_path / "data" / "a").unlink()
    StudyPackage(tmp_path, (tmp_path / "runs",)).runtime_env()


def test_of_a_run_directory_only_the_notebook_s_task_travels(tmp_path: Path) -> None:
    for place in ("log.jsonl", "checkpoints/large", "metrics/part", "task/cell.py", "task/arrays.npz"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    sent = StudyPackage(tmp_path, (tmp_path / "runs", tmp_path.parent))
    assert [path.as_posix() for path in sent.files()] == ["task/arrays.npz", "task/cell.py"]
    left_here = ["checkpoints", "log.jsonl", "metrics", "optuna.journal", "report.html", "trials.parquet"]
    assert sent.runtime_env()["excludes"] == [*REST, *(f"/{name}" for name in left_here)]
