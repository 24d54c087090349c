"""Classes and functions of a notebook's cells, run to their end, resumed, shown."""

from __future__ import annotations

import itertools
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import sweep
from sweep.api.run import Summary
from sweep.driver.driver import Driver
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError, SpecError, SweepError
from tests.sweep.api.python.cells import Kernel

TRAIN = """
    STEPS = 3

    def train(trial):
        x = 2.0
        for step in range(1, STEPS + 1):
            x -= trial.params["learning_rate"] * 2 * x
            yield {"examples": 10 * step, "loss": x * x}
"""
KEYS: dict[str, Any] = {
    "name": "line",
    "space": {"learning_rate": sweep.float(0.01, 0.4, log=True)},
    "objective": "loss",
    "direction": "minimize",
    "budget": 4,
    "sampler": "random",
    "executor": "inline",
}


pytestmark = pytest.mark.usefixtures("described_here")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(task: Any, **changes: Any) -> Summary:
    return sweep.run(task=task, progress=Quiet(), **{**KEYS, **changes})


def test_a_function_of_a_cell_is_run_and_resumed_by_the_same_cell_run_again() -> None:
    kernel = Kernel()
    summary = run(kernel.run(TRAIN)["train"])
    assert summary.counts["COMPLETE"] == 4
    assert len(summary.metrics) == 12
    assert summary.best is not None
    assert summary.best.value == summary.trials.value.min()
    again = run(Kernel().run(TRAIN)["train"], budget=5)
    assert (again.counts["COMPLETE"], again.trials.value[:4].tolist()) == (5, summary.trials.value.tolist())
    changed = Kernel().run(TRAIN.replace("STEPS = 3", "STEPS = 4"))["train"]
    with pytest.raises(RunDirError, match=r"source of task task/cell\.py:train changed since the run"):
        run(changed, budget=6)
    accepted = run(changed, budget=6, accept_changed_task=True)
    assert accepted.metrics.groupby("trial").size().tolist() == [3] * 5 + [4]


def test_the_run_directory_s_own_study_file_resumes_it_too() -> None:
    summary = run(Kernel().run(TRAIN)["train"], budget=1)
    again = sweep.run(summary.run_dir / "study.yaml", trials=2, progress=Quiet())
    assert again.counts["COMPLETE"] == 2


@pytest.mark.slow
def test_two_cells_of_one_name_are_not_one_study() -> None:
    kernel = Kernel()
    run(kernel.run(TRAIN)["train"], budget=1)
    with pytest.raises(RunDirError, match=r"(?s)keys differ.*seed: was 0, is 1"):
        run(kernel.names["train"], seed=1)


def test_a_class_of_a_cell_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    text = (Path(__file__).parents[2] / "studies" / "line.py").read_text()
    fixed = {"fixed": {"optimizer": "sgd", "slow": 0.0}}
    trial = {"micro_batch_size": 16, "length": {"epochs": 1}}
    task = Kernel().run(text.replace("from __future__ import annotations", ""))["Line"]
    summary = run(task, objective="validation_loss", trial=trial, budget=1, lanes=1, **fixed)
    assert summary.counts["COMPLETE"] == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return {}['loss']", "KeyError: 'loss' (line 8 of the cell: return {}['loss'])"),
        ("json.loads('{')", "line 8 of the cell: json.loads('{'))"),
        ("helper({})", "KeyError: 'loss' (line 4 of the cell: return values['loss'])"),
        ("trial.save_file('none')", "'none' (line 8 of the cell: trial.save_file('none'))"),
    ],
)
def test_an_exception_names_the_line_of_the_cell(line: str, said: str) -> None:
    cell = "import json\n\ndef helper(values):\n    return values['loss']\n\n"
    cell += f"def train(trial):\n    yield {{'examples': 1, 'loss': 1.0}}\n    {line}\n"
    summary = run(Kernel().run(cell)["train"], budget=1, failures={"retry": 0})
    assert summary.trials.reason[0].splitlines()[0].endswith(said)


CLASS = """
    from train_core import Task

    class Line(Task):
        def data(self):
            return open("none")
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CLASS, "task: line 6 of the cell: in Line.data: FileNotFoundError: .*'none'"),
        (CLASS.replace("(Task)", ""), r"task: Line is no Task\. Write class Line\(Task\)"),
        (
            CLASS.replace("data(self)", "__init__(self, rate)"),
            r"task: Line\(\) cannot be built without[^/]*$",
        ),
        (CLASS.replace("data(self)", "__init__(self)"), r"cannot be built .*none'\. See line 6 of the cell$"),
    ],
)
def test_what_is_wrong_with_a_class_names_the_line_of_the_cell(text: str, said: str) -> None:
    trial = {"micro_batch_size": 16, "length": {"epochs": 1}}
    with pytest.raises(SpecError, match=said):
        run(Kernel().run(text)["Line"], objective="validation_loss", trial=trial)


def test_a_notebook_shows_counts_the_best_and_a_curve() -> None:
    summary = run(Kernel().run(TRAIN)["train"])
    shown = summary._repr_html_()
    assert "<b>line</b>: 4 complete, finished." in shown
    assert shown.count("<circle") == shown.count("<tr>") - 1 == 4
    assert "loss by trial" in shown


def test_a_curve_of_very_different_values_is_on_a_log_scale() -> None:
    cell = "def train(trial):\n    return {'loss': 10.0 ** -trial.number}\n"
    shown = run(Kernel().run(cell)["train"])._repr_html_()
    assert "loss by trial, from 0.001 to 1 on a log scale" in shown
    heights = [float(each) for each in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', shown)]
    steps = [after - before for before, after in itertools.pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.2)


def test_an_interrupt_ends_it_in_order_and_running_it_again_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = Driver.step, 0

    def interrupting(driver: Driver) -> None:
        nonlocal steps
        steps += 1
        if steps == 6:
            signal.raise_signal(signal.SIGINT)
        step(driver)

    task = Kernel().run(TRAIN)["train"]
    with monkeypatch.context() as patch:
        patch.setattr(Driver, "step", interrupting)
        summary = run(task)
    assert summary.reason == "interrupted"
    assert "Run it again to resume" in summary._repr_html_()
    assert run(task).counts["COMPLETE"] == 4


@pytest.mark.slow
def test_a_started_study_leaves_the_process_free_until_it_is_stopped() -> None:
    task = Kernel().run(
        """
        def train(trial):
            for step in range(1, 10**9):
                yield {"examples": step, "loss": 1.0}
        """
    )["train"]
    handle = sweep.start(task=task, **KEYS)
    assert handle.running
    assert handle.status().pid is not None
    with pytest.raises(RunDirError, match="is open in this process already"):
        sweep.start(task=task, **KEYS)
    with pytest.raises(TimeoutError, match="line has not ended within 0 s"):
        handle.wait(0)
    summary = handle.stop()
    assert summary.reason == "interrupted"
    assert repr(handle).endswith("ended")
    assert handle.run.trials.state.isin(["RUNNING", "COMPLETE"]).all()


def test_a_started_study_ends_by_itself() -> None:
    handle = sweep.start(task=Kernel().run(TRAIN)["train"], **KEYS)
    assert handle.wait(60).counts["COMPLETE"] == 4
    assert not handle.running


def test_whole_numbers_are_integers_and_others_are_refused() -> None:
    assert sweep.int(1e1, 1e2, step=5.0) == {"low": 10, "high": 100, "log": False, "step": 5}
    assert type(sweep.int(1e1, 1e2)["low"]) is int
    with pytest.raises(SweepError, match=r"sweep.int: 1.5 is not an integer. Use sweep.float"):
        sweep.int(1.5, 3)


def test_a_function_in_the_place_of_a_study_is_named() -> None:
    with pytest.raises(SweepError, match=r"is given by name: sweep.run\(task=train"):
        sweep.run(lambda trial: 1.0)  # type: ignore[call-overload]


def test_a_started_study_outlives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = sweep.start(task=Kernel().run(TRAIN)["train"], **KEYS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert handle.wait(60).counts["COMPLETE"] == 4


def test_a_mean_of_numpy_comes_along_and_a_lambda_is_named() -> None:
    cell = (
        "import numpy as np\nmean = np.array([1.0, 3.0]).mean()\ndef train(trial):\n    return float(mean)\n"
    )
    assert run(Kernel().run(cell)["train"], budget=1).best.value == 2.0  # type: ignore[union-attr]
    cell = "double = lambda x: 2 * x\ndef train(trial):\n    return double(1.0)\n"
    with pytest.raises(SweepError, match=r"train uses double, a lambda. Write it as a function with def"):
        run(Kernel().run(cell)["train"], name="other", budget=1)
