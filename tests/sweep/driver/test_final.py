"""Once a study has finished its best trials are tested: once, whatever died, and by a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import analysis
from analysis.final import answers
from sweep.api.check import check
from sweep.driver.processes import final
from sweep.rundir.rundir import RunDir
from tests.logs import records
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run, sweep

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled", "described_here")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The trials that were asked for, answered in this process."""
    seen: list[list[int]] = []

    def here(run_dir: Path, trials: Sequence[int]) -> Iterator[dict[str, Any]]:
        seen.append(list(trials))
        yield from (json.loads(json.dumps(answer)) for answer in answers(str(run_dir), trials))

    monkeypatch.setattr(final, "_answers", here)
    return seen


def tested(folder: Folder, *more: tuple[str, str]) -> None:
    folder.write(("line.py:Line", "line.py:Tested"), *more)


def by_hand(folder: Folder, trial: int) -> tuple[float, float]:
    """The loss on the test part and the sample, computed from the trial's model."""
    model = analysis.load(folder.run_dir).model(trial)
    x = mx.linspace(5, 6, 8).reshape(8, 1)
    return float(mx.mean((model(x) - (2 * x + 1)) ** 2)), float(model(mx.ones((1, 1))))


def test_the_best_trial_is_tested_once_by_a_process_of_its_own(folder: Folder) -> None:
    tested(folder)
    summary = run(folder)
    assert summary.best is not None
    best = summary.best.number
    loss, sample = by_hand(folder, best)
    (record,) = records(folder.run_dir, "final")
    assert record["trial"] == best
    assert record["metrics"] == {"test_loss": pytest.approx(loss, rel=1e-5)}
    assert record["samples"] == [["2 * 1 + 1", f"{sample:.6f}"]]
    assert summary.final[best].metrics == record["metrics"]
    trials = analysis.load(folder.run_dir).trials.set_index("number")
    assert trials.test_loss[best] == record["metrics"]["test_loss"]
    assert trials.test_loss.notna().sum() == 1
    said = sweep(folder, "run", "study.yaml")
    assert f"test, trial {best}: test_loss=" in said.stdout
    assert f"trial {best} is asked: 2 * 1 + 1\n  and answers: {sample:.6f}" in said.stdout
    assert records(folder.run_dir, "final") == [record]
    shown = json.loads(sweep(folder, "show", "runs/line", str(best), "--json").stdout)
    assert shown["final"] == {"metrics": record["metrics"], "samples": record["samples"]}
    assert "to test on at the end" in sweep(folder, "check", "study.yaml").stdout


def test_check_says_which_trials_have_no_checkpoint_to_test(folder: Folder) -> None:
    said = {}
    for kept in (1, 2):
        more = f"test: {{best: 2}}\ncheckpoints: {{keep_best: {kept}}}"
        tested(folder, ("budget: {trials: 4}", f"budget: {{trials: 4}}\n{more}"))
        said[kept] = [note for note in check(folder.study).notes if note.startswith("test.best")]
    assert not said[2]
    (note,) = said[1]
    assert "Set checkpoints.keep_best: 2" in note


def test_more_trials_have_the_new_best_tested_and_none_twice(folder: Folder, asked: list[list[int]]) -> None:
    tested(folder, ("budget: {trials: 4}", "budget: {trials: 2}\ntest: {best: 2}"))
    run(folder)
    assert [len(numbers) for numbers in asked] == [2]
    before = set(asked[0])
    tested(folder, ("budget: {trials: 4}", "budget: {trials: 8}\ntest: {best: 2}"))
    summary = run(folder)
    best = {trial.number for trial in summary.top[:2]}
    assert best - before
    assert [set(numbers) for numbers in asked[1:]] == [best - before]
    assert set(summary.final) == before | best


@pytest.mark.parametrize("call", [1, 2])
def test_a_study_killed_while_it_tests_tests_what_is_left(
    folder: Folder, asked: list[list[int]], monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    tested(folder, ("budget: {trials: 4}", "budget: {trials: 4}\ntest: {best: 2}"))
    with monkeypatch.context() as patch:
        kill_at(patch, RunDir, "record_final", call, after=False)
        with pytest.raises(Killed):
            run(folder)
    summary = run(folder)
    first, second = asked
    assert len(first) == 2
    assert second == first[call - 1 :]
    assert set(summary.final) == set(first)
    assert len(records(folder.run_dir, "final")) == 2


def test_ctrl_c_while_testing_leaves_it_to_the_next_run(
    folder: Folder, asked: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tested(folder)
    with monkeypatch.context() as patch:

        def pressed(*_: object) -> Iterator[dict[str, Any]]:
            raise KeyboardInterrupt

        patch.setattr(final, "_answers", pressed)
        assert run(folder).reason == "interrupted"
    summary = run(folder)
    assert (summary.reason, len(summary.final)) == ("finished", 1)


def test_replicates_are_tested_each_and_the_mean_is_recorded(folder: Folder, asked: list[list[int]]) -> None:
    tested(folder, ("length: {epochs: 3}", "length: {epochs: 3}, replicates: 2"))
    summary = run(folder)
    assert summary.best is not None
    best = summary.best.number
    opened = analysis.load(folder.run_dir)
    x = np.linspace(5, 6, 8, dtype=np.float32).reshape(8, 1)
    losses = []
    for replicate in range(2):
        model = opened.model(best, replicate)
        losses.append(float(np.mean((np.array(model(mx.array(x))) - (2 * x + 1)) ** 2)))
    assert losses[0] != losses[1]
    assert summary.final[best].metrics["test_loss"] == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_what_cannot_be_tested_is_a_message_and_the_study_has_finished(
    folder: Folder, asked: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tested(
        folder, ("budget: {trials: 4}", "budget: {trials: 4}\ntest: {best: 2}\ncheckpoints: {keep_best: 1}")
    )
    summary = run(folder)
    assert (summary.reason, len(summary.final)) == ("finished", 1)
    (text,) = [each["text"] for each in records(folder.run_dir, "message")]
    assert "could not be tested" in text
    assert "`checkpoints.keep_best` of the study file says how many stay" in text
    assert run(folder).reason == "finished before"
    monkeypatch.setattr(final, "_answers", lambda *_: iter(()))
    tested(folder, ("budget: {trials: 4}", "budget: {trials: 30}\ncheckpoints: {keep_best: 1}"))
    run(folder)
    said = [each["text"] for each in records(folder.run_dir, "message")]
    assert "the process that does it has ended" in said[-1]


@pytest.mark.parametrize("more", ["test: {best: 0}", "checkpoints: {keep_best: 0}"])
def test_nothing_is_tested_where_it_is_not_asked_for_or_no_checkpoint_stays(
    folder: Folder, asked: list[list[int]], more: str
) -> None:
    tested(folder, ("budget: {trials: 4}", f"budget: {{trials: 4}}\n{more}"))
    run(folder)
    wanted = more.startswith("test")  # the best one's samples are
    assert [len(numbers) for numbers in asked] == ([1] if wanted else [])
    assert "test_loss" not in analysis.load(folder.run_dir).trials or wanted
