"""The command line as a person meets it: exit codes, what is said, and where."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import analysis
from sweep.cli import app
from tests.logs import records
from tests.processes import wait_for
from tests.sweep.conftest import GATED, Folder
from tests.sweep.in_process import sweep

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]

PROMISED = json.loads((Path(__file__).parents[2] / "data/promise-0.2.json").read_text())


def refused(folder: Folder, *arguments: str) -> str:
    """What a command that must end with exit code 2 says, on stderr alone and without a traceback."""
    ended = sweep(folder, *arguments)
    assert ended.exit_code == 2, ended.output
    assert "Traceback" not in ended.stderr
    assert not ended.stdout
    return ended.stderr


def test_run_prints_one_json_object_and_nothing_else_on_stdout(folder: Folder) -> None:
    ended = sweep(folder, "run", "study.yaml", "--json")
    assert ended.exit_code == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert set(PROMISED["json"]["run"]) - result.keys() == set()
    assert result["study"] == "line"
    assert result["trials"]["COMPLETE"] == 4
    assert result["run_dir"] == "runs/line"
    assert result["wall_s"] > 0
    assert set(result["best"]) == {"number", "value", "params"}
    best = analysis.load(folder.run_dir).trials.value.min()
    assert result["best"]["value"] == best


def test_what_a_task_prints_stays_off_the_result(folder: Folder) -> None:
    source = folder.path / "line.py"
    source.write_text(source.read_text() + "\nprint('hello from the task')\n")
    ended = folder.sweep("run", "study.yaml", "--json", "--trials", "1")
    assert json.loads(ended.stdout)["trials"]["COMPLETE"] == 1
    assert "hello from the task" in ended.stderr


def test_run_says_where_the_results_are_and_runs_elsewhere_when_told(folder: Folder) -> None:
    ended = sweep(folder, "run", "study.yaml", "--runs", "elsewhere", "--trials", "2")
    assert ended.exit_code == 0
    assert "elsewhere/line" in ended.stdout
    assert "Best trials" in ended.stdout
    again = sweep(folder, "run", "study.yaml", "--runs", "elsewhere", "--trials", "2")
    assert "finished before" in again.stdout


def test_status_speaks_of_a_finished_study(folder: Folder) -> None:
    sweep(folder, "run", "study.yaml")
    ended = sweep(folder, "status", "runs/line")
    assert ended.stdout.startswith("line: 4 complete of 4; finished")
    found = json.loads(sweep(folder, "status", "runs/line", "--json").stdout)
    assert found["trials"] == {"COMPLETE": 4}


def test_check_says_what_would_run(folder: Folder) -> None:
    ended = sweep(folder, "check", "study.yaml", "--json")
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["examples"], found["reports"], found["updates"]) == (192, 3, {"1": 12, "2": 6})
    assert len(found["programs"]) == 1
    assert not folder.runs.exists()
    assert "learning_rate: number from 0.001 to 0.1, log" in sweep(folder, "check", "study.yaml").stdout


def test_no_such_study_file(folder: Folder) -> None:
    assert "none.yaml" in refused(folder, "run", "none.yaml")


def test_every_problem_of_a_study_file_is_named_with_its_line(folder: Folder) -> None:
    folder.write(("seed: 3", "sed: 3"), ("trials: 4", "trials: 0"), ("low: 1.0e-3", "low: 1.0"))
    for verb in ("check", "run"):
        said = refused(folder, verb, "study.yaml")
        assert re.search(r"study.yaml:2: sed: .*seed", said)
        assert "study.yaml:8: space.learning_rate" in said
        assert "study.yaml:13: budget.trials" in said


def test_a_task_that_does_not_import_is_named_with_its_own_line(folder: Folder) -> None:
    (folder.path / "line.py").write_text("import numpy\n\nnumpy.no_such_thing\n")
    said = refused(folder, "check", "study.yaml")
    assert "study.yaml:3: task:" in said
    assert "line.py:3" in said
    assert "no_such_thing" in said
    assert ", got" not in said


def test_a_task_with_a_syntax_error_is_named_with_its_own_line(folder: Folder) -> None:
    (folder.path / "line.py").write_text("x = 1\ndef broken(:\n")
    assert "line.py:2" in refused(folder, "run", "study.yaml")


def test_a_class_that_is_not_there_is_named_with_the_nearest(folder: Folder) -> None:
    folder.write(("line.py:Line", "line.py:Lime"))
    assert "did you mean Line?" in refused(folder, "check", "study.yaml")


def test_a_task_file_that_is_not_there(folder: Folder) -> None:
    folder.write(("line.py:Line", "lime.py:Line"))
    assert "lime.py" in refused(folder, "run", "study.yaml")


def test_an_objective_that_the_task_does_not_report(folder: Folder) -> None:
    folder.write(("validation_loss", "validation_los"))
    said = refused(folder, "run", "study.yaml")
    assert "study.yaml:4: objective.metric" in said
    assert "Did you mean `validation_loss`" in said


def test_a_run_directory_that_another_process_writes_is_refused_with_its_pid(folder: Folder) -> None:
    folder.write(GATED)
    folder.gate.shut(after=0)
    running = folder.start("run", "study.yaml")
    try:
        wait_for(folder.gate.held, running)
        said = refused(folder, "run", "study.yaml")
        assert str(running.pid) in said
    finally:
        running.kill()
        running.communicate()


def test_ctrl_c_saves_what_runs_and_the_same_command_goes_on(folder: Folder) -> None:
    folder.write(GATED)
    folder.gate.shut(after=4)
    running = folder.start("run", "study.yaml")
    wait_for(folder.gate.held, running)
    os.kill(running.pid, signal.SIGINT)
    folder.gate.open()
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert "Resume with: python -m sweep run study.yaml" in said
    folder.write(GATED, ("slow: 0.0", "slow: 0.2"))
    ended = sweep(folder, "run", "study.yaml", "--accept-changed-task")
    assert ended.exit_code == 2
    assert "fixed.slow" in ended.stderr
    folder.write(GATED)
    ended = sweep(folder, "run", "study.yaml", "--json")
    assert json.loads(ended.stdout)["trials"]["COMPLETE"] == 4
    metrics = analysis.load(folder.run_dir).metrics
    assert not metrics.duplicated(["trial", "replicate", "examples"]).any()


def test_a_study_all_of_whose_trials_fail_ends_with_exit_code_1_and_reasons(folder: Folder) -> None:
    folder.write(("low: 1.0e-3, high: 1.0e-1", "low: 1.0e+30, high: 1.0e+31"))
    ended = sweep(folder, "run", "study.yaml")
    assert ended.exit_code == 1
    assert "4 fail" in ended.stdout
    assert "trial 0 diverged:" in ended.stderr
    reasons = analysis.load(folder.run_dir).trials.reason
    assert all("finite" in reason for reason in reasons)


def test_a_static_hyperparameter_without_a_value_is_named(folder: Folder) -> None:
    folder.write((", slow: 0.0", ""))
    assert "slow" in refused(folder, "run", "study.yaml")


def test_status_of_a_folder_that_is_no_run_directory(folder: Folder) -> None:
    assert "is not a run directory" in refused(folder, "status", ".")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_to_a_full_device_is_one_line() -> None:
    """Fault 17: it was a traceback."""
    root = Path(__file__).parents[3]
    with open("/dev/full", "w") as full:
        for verb in (["schema"], ["--help"]):  # more than a buffer holds, and less
            command = [sys.executable, "-m", "sweep", *verb]
            done = subprocess.run(
                command, cwd=root, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
            assert done.returncode == 2
            assert done.stderr == (
                "output cannot be written: No space left on device. Free space, or write elsewhere\n"
            )


def test_help_answers_without_loading_what_trains() -> None:
    code = (
        "import sys; from sweep.cli import app; bad = {'ray', 'mlx', 'optuna', 'pandas'} & set(sys.modules); "
    )
    ended = subprocess.run(
        [sys.executable, "-c", code + "print(sorted(bad))"], capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]"
    root = Path(__file__).parents[3]
    help_text = subprocess.run(
        [sys.executable, "-m", "sweep", "--help"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert all(verb in help_text for verb in ("run", "check", "status"))


def test_each_verb_s_help_has_examples() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        assert "\n    sweep " in (command.callback.__doc__ or ""), command.callback


def test_the_shell_completes_verbs_and_options() -> None:
    def completed(words: str) -> str:
        variables = {"_SWEEP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "1"}
        variables["COMP_CWORD"] = str(len(words.split(" ")) - 1)
        command = [sys.executable, "-m", "sweep"]
        root = Path(__file__).parents[3]
        return subprocess.run(
            command, cwd=root, env={**os.environ, **variables}, capture_output=True, text=True, check=True
        ).stdout

    assert completed("sweep sta").split() == ["status"]
    assert completed("sweep export --fo").split() == ["--format"]
    assert completed("sweep init m").split() == ["module"]


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "/etc"])
def test_names_cannot_leave_the_run_directory(folder: Folder, name: str) -> None:
    folder.write(("name: line", f"name: {name}"))
    assert "study.yaml:1: name:" in refused(folder, "run", "study.yaml")


def test_the_dashboard_is_open_beside_a_study_that_runs_and_leaves_no_lock(folder: Folder) -> None:
    folder.write(("slow: 0.0", "slow: 0.3"), ("trials: 4", "trials: 100000"))
    driver = folder.start("run", "study.yaml")
    wait_for(lambda: len(records(folder.run_dir, "told")) > 1, driver)
    ui = folder.start("ui", "runs/line", "--port", "0")
    try:
        assert ui.stdout is not None
        address = ui.stdout.readline().split()[0]

        def seen() -> int:
            with urllib.request.urlopen(f"{address}api/studies/0?after=0") as answer:
                return sum(trial["state"] == "Complete" for trial in json.load(answer)["trials"])

        first = seen()
        assert first > 0
        wait_for(lambda: seen() > first, driver)  # the dashboard looks again every few seconds
    finally:
        ui.send_signal(signal.SIGINT)
        said, _ = ui.communicate(timeout=300)
        driver.send_signal(signal.SIGINT)
        driver.communicate(timeout=300)
    assert (ui.returncode, said.strip()) == (130, "stopped")
    assert driver.returncode == 130
    assert not [path for path in folder.run_dir.iterdir() if path.name.endswith(".lock")]
    assert sweep(folder, "run", "study.yaml", "--trials", "1").exit_code == 0
