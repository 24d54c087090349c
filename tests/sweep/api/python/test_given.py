"""Keyword arguments are the study file's keys; what is wrong with them is said by its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.api.python.given import given_study
from sweep.errors import SweepError
from sweep.spec.given import from_values
from tests.sweep.api.python.cells import Kernel
from tests.sweep.studies.functions import train

KEYS: Any = {
    "name": "line",
    "space": {"learning_rate": sweep.float(1e-3, 1, log=True), "layers": sweep.int(1, 3)},
    "objective": "loss",
    "direction": "minimize",
    "budget": 8,
}
CELL = Kernel().run(
    """
    def train(trial): return 1.0
    def Train(trial): return 1.0
    class task: pass
    short = lambda trial: 1.0
    class Called:
        def __call__(self, trial): return 1.0
    """
)


def test_short_forms_are_the_study_file_s_keys(tmp_path: Path) -> None:
    short: Any = {**KEYS, "sampler": "random", "pruner": "median"}
    given = given_study(None, "task.py:train", short, runs=tmp_path, trials=12)
    long = {
        "name": "line",
        "task": "task.py:train",
        "space": {"learning_rate": {"low": 1e-3, "high": 1.0, "log": True}, "layers": {"low": 1, "high": 3}},
        "objective": {"metric": "loss", "direction": "minimize"},
        "sampler": {"name": "random"},
        "pruner": {"name": "median"},
        "budget": {"trials": 12},
    }
    assert given.spec == from_values(long)
    assert given.source is None


def test_a_cell_s_task_lies_in_the_run_directory(tmp_path: Path) -> None:
    given = given_study(None, CELL["train"], KEYS, runs=tmp_path)
    assert given.spec.task == "task/cell.py:train"
    assert given.spec.folder == tmp_path / "line"
    staged = given.staged_in(tmp_path)
    assert (staged.folder / "task/cell.py").read_text().endswith("def train(trial): return 1.0\n")


def test_a_file_s_task_stays_there(tmp_path: Path) -> None:
    given = given_study(None, train, KEYS, runs=tmp_path)
    assert (given.source, given.spec.task) == (None, "tests.sweep.studies.functions:train")
    assert given.spec.folder == Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        (CELL["short"], {}, "study: task: a lambda has no name. Write it as a function with def"),
        (CELL["Called"](), {}, "study: task: a task is a class or a function, got Called. Wrap it"),
        (CELL["Train"], {}, "task: the name of a function begins with a small letter, got Train. Rename it"),
        (CELL["task"], {}, "task: the name of a class begins with a capital letter, got task. Rename it"),
        (train, {"direction": None}, "study: objective.direction: is missing"),
        (
            train,
            {"objective": {"metric": "loss", "direction": "minimize"}},
            "study: direction: stands beside",
        ),
        (train, {"budgets": 3}, "study: budgets: unknown key. Did you mean `budget`"),
        (train, {"space": {"rate": [1, 2]}}, "study: space.rate: "),
        (train, {"name": None}, "study: name: is missing"),
    ],
)
def test_what_is_wrong_is_said_by_its_key(
    task: Any, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    keys: Any = {key: value for key, value in {**KEYS, **changes}.items() if value is not None}
    with pytest.raises(SweepError, match=said):
        given_study(None, task, keys, runs=tmp_path)


def test_a_study_or_a_task_not_both() -> None:
    with pytest.raises(SweepError, match="give either a study"):
        sweep.run()  # type: ignore[call-overload]
    with pytest.raises(SweepError, match="give either a study"):
        sweep.run("study.yaml", task=train)  # type: ignore[call-overload]
    with pytest.raises(SweepError, match=r"budget: stands in the study itself\. Change"):
        sweep.run("study.yaml", budget=3)  # type: ignore[call-overload]


def test_a_notebook_shows_the_message_without_a_traceback(tmp_path: Path) -> None:
    """IPython asks an exception for what it shows by this name."""
    with pytest.raises(SweepError) as raised:
        given_study(None, CELL["short"], KEYS, runs=tmp_path)
    said = "SpecError: study: task: a lambda has no name. Write it as a function with def"
    assert raised.value._render_traceback_() == [said]
