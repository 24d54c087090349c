"""Keyword arguments are the study file's keys; what is wrong with them is said by its key."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sweep
from sweep.api.python.given import StudyKeys, given_study
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
        def train(self, trial): return 1.0
    async def later(trial): return 1.0
    async def pieces(trial): yield 1.0
    def made(trial): yield 1.0
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
        (CELL["Called"]().train, {}, "study: task: a task is a class or a function, got method. Wrap it"),
        (functools.partial(train), {}, "study: task: a task is a class or a function, got partial. Wrap it"),
        (print, {}, "task: a task is a class or a function, got builtin_function_or_method. Wrap it"),
        (CELL["made"](None), {}, "task: a task is a function, not what it returns. Pass it without calling"),
        (CELL["later"], {}, "task: later is async. Write it as a plain function, with def alone"),
        (CELL["pieces"], {}, "task: pieces is async. Write it as a plain function, with def alone"),
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


WRONG: tuple[Any, ...] = (
    None, 3, 2.5, True, "x", b"x", [], [1], {}, {"a": 1}, (), {1}, object(), train, np.arange(3),
    np.float32(0.1),
)  # fmt: skip


@pytest.mark.parametrize("key", [*StudyKeys.__annotations__, "cluster", "trials"])
def test_what_is_given_for_a_key_is_read_or_refused_by_its_name(key: str, tmp_path: Path) -> None:
    for value in WRONG:
        keys: Any = {**KEYS, key: value}
        beside = {name: keys.pop(name) for name in ("cluster", "trials") if name in keys}
        try:
            given_study(None, "task.py:train", keys, runs=tmp_path, **beside)
        except SweepError as error:
            assert re.search(rf"{key}|executor", str(error)), str(error)


def test_numbers_of_numpy_are_taken_as_what_they_mean(tmp_path: Path) -> None:
    of: Any = np  # whose values the types of `choices` and `trials` do not name
    of_numpy: Any = {
        **KEYS,
        "space": {
            "rate": sweep.float(np.float32(0.1), np.float64(1), step=np.float32(0.1)),
            "layers": sweep.int(np.int64(1), np.float32(3), step=np.int8(1)),
            "width": sweep.choices(of.array([16, 32])),
            "kind": sweep.choices(of.str_("a"), of.bool_(True), when={"width": np.array([16])}),
        },
        "budget": np.int64(8),
        "seed": np.uint8(3),
        "fixed": {"decay": np.float32(0.1)},
        "trial": {"length": {"examples": np.int32(100)}},
    }
    plain: Any = {
        **KEYS,
        "space": {
            "rate": {"low": 0.1, "high": 1.0, "step": 0.1, "log": False},
            "layers": {"low": 1, "high": 3, "step": 1, "log": False},
            "width": {"choices": [16, 32]},
            "kind": {"choices": ["a", True], "when": {"width": [16]}},
        },
        "seed": 3,
        "fixed": {"decay": 0.1},
        "trial": {"length": {"examples": 100}},
    }
    specs = [given_study(None, "task.py:train", each, runs=tmp_path).spec for each in (of_numpy, plain)]
    assert specs[0] == specs[1]
    spec = given_study(None, "task.py:train", KEYS, runs=tmp_path, trials=of.int64(3)).spec
    assert spec.budget.trials == 3


@pytest.mark.parametrize("number", ["0.1", None, 1j, np.arange(2), True])
def test_what_is_no_number_is_no_bound(number: Any) -> None:
    with pytest.raises(SweepError, match=r"sweep\.float: .* is not a number\. Write sweep\.float\(1e-4"):
        sweep.float(number, 1.0)
    with pytest.raises(SweepError, match=r"sweep\.int: .* is not an integer"):
        sweep.int(number, 3)


@pytest.mark.parametrize("runs", [None, 3, b"runs", ["runs"]])
def test_a_folder_of_runs_that_is_no_path_is_refused_by_its_name(runs: Any, tmp_path: Path) -> None:
    study = "task.py:train"
    for verb in (
        lambda: sweep.run(task=study, runs=runs, **KEYS),
        lambda: sweep.start(task=study, runs=runs, **KEYS),
        lambda: sweep.Study(runs=runs, **KEYS),
        lambda: sweep.extend(tmp_path, "2 epochs", runs=runs),
    ):
        with pytest.raises(SweepError, match=r"^runs: must be the path of a folder; found .* Leave it out"):
            verb()
    with pytest.raises(SweepError, match=r"^folder: must be the path of a folder"):
        sweep.list_runs(runs)
