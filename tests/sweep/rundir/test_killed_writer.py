"""A writer killed with SIGKILL at random moments, and a reader looking on: the run directory stays whole."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import analysis
from sweep.rundir.history import read_history
from tests.run_dirs import accuracy

KILLS = 6


def write_until_killed(root: Path, chance: random.Random) -> set[str]:
    """Let the writer say some lines and kill it some milliseconds later; gives all that it said."""
    command = [sys.executable, "-m", "tests.killed_writer", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(chance.randint(1, 80))]
        check_reader(root)
        time.sleep(chance.random() * 0.01)
        process.kill()
        said += process.stdout.readlines()
    assert said[0], "the writer failed"
    return {word for line in said if line.endswith("\n") for word in line.split()}


def check_reader(root: Path) -> None:
    metrics = analysis.load(root / "study").metrics
    assert not metrics.duplicated(["trial", "replicate", "examples"]).any()
    keys = zip(metrics.trial, metrics.examples, strict=True)
    assert (metrics.accuracy == [accuracy(*key) for key in keys]).all()


def check_history(root: Path, committed: set[str]) -> None:
    history = read_history(root / "study")
    assert history.damage == ()
    assert {int(word.split(",")[1]) for word in committed if word.startswith("told")} <= history.told.keys()
    for trial in history.unfinished.values():
        assert [each.examples for each in trial.reports] == [100, 200, 300][: len(trial.reports)]
        assert len(trial.checkpoints) == (1 if trial.reports else 0)


@pytest.mark.slow
def test_invariants_1_3_and_9_a_writer_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(0)
    committed: set[str] = set()
    for _ in range(KILLS):
        committed |= write_until_killed(tmp_path, chance)
        check_reader(tmp_path)
        check_history(tmp_path, committed)
    run = analysis.load(tmp_path / "study")
    rows = zip(run.metrics.trial, run.metrics.examples, strict=True)
    said = {word for word in committed if word.startswith("report")}
    assert said <= {f"report,{trial},{examples}" for trial, examples in rows}
    lines = (tmp_path / "study" / "log.jsonl").read_text().splitlines()
    for event in ("asked", "told"):
        numbers = [line.split('"trial":')[1].split(",")[0] for line in lines if f'"{event}"' in line]
        assert set(Counter(numbers).values()) == {1}
    complete = run.trials[run.trials.state == "COMPLETE"].set_index("number")
    last = run.metrics.groupby("trial").accuracy.last()
    assert (complete.value == last[complete.index]).all()
