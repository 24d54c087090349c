"""The space of a study edited between two sessions, whatever dies meanwhile."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest

import analysis
from runlog.reader import read_batches
from runlog.study import read_study
from sweep.api.extend import study_text
from sweep.api.keeping.verify import verify
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from sweep.search.journal_check import read_journal
from sweep.spec.parse import parse
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run, stop_after, table

pytestmark = pytest.mark.usefixtures("uncompiled")

SPACE = "  accumulation_steps: {choices: [1, 2]}\n"
EDIT = (
    ("high: 1.0e-1", "high: 1.0"),
    (SPACE, "  accumulation_steps: {choices: [2, 4]}\n  weight_decay: {low: 0.0, high: 0.1}\n"),
    ("sampler:", "earlier: {weight_decay: 0.0}\nsampler:"),
    ("trials: 4", "trials: 7"),
)


def records(folder: Folder, *kinds: str) -> list[dict[str, Any]]:
    """Records of the log, in order."""
    found = read_batches(folder.run_dir / "log.jsonl", kinds=kinds, on_damage=print)
    return [record for batch in found for record in batch]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe, n_startup_trials: 2"])
def test_a_study_continues_in_its_edited_space(
    folder: Folder, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ("{name: random}", f"{{name: {sampler}}}")
    folder.write(named)
    run(folder)
    before = analysis.load(folder.run_dir).trials
    folder.write(named, *EDIT)
    capsys.readouterr()
    summary = run(folder)
    assert summary.counts["COMPLETE"] == 7
    steps = before.params_accumulation_steps.tolist()
    left_out = [number for number, count in enumerate(steps) if count == 1]
    said = (
        f"{4 - len(left_out)} of 4 earlier trials fit, {4 - len(left_out)} with a value filled in for "
        f"weight_decay, {len(left_out)} left out by accumulation_steps"
    )
    changes = (
        "space edited (learning_rate: number from 0.001 to 0.1, log -> number from 0.001 to 1, log; "
        "accumulation_steps: one of 1, 2 -> one of 2, 4; weight_decay: not there -> number from 0 to 0.1)"
    )
    assert changes in capsys.readouterr().err
    assert [each["text"] for each in records(folder, "message") if said in each["text"]]
    kinds = [each["event"] for each in records(folder, "edited", "opened", "asked")]
    assert kinds == ["opened", *["asked"] * 4, "edited", "opened", *["asked"] * 3]
    trials = analysis.load(folder.run_dir).trials
    columns = [name for name in before if name != "params_accumulation_steps"]
    assert trials[columns].head(4).equals(before[columns])
    assert trials.params_accumulation_steps.tolist()[:4] == steps
    assert set(trials.params_accumulation_steps[4:]) <= {2, 4}
    assert trials.params_weight_decay.notna().tolist() == [False] * 4 + [True] * 3
    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    theirs = optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend)).trials
    assert [each.value for each in theirs] == trials.value.tolist()
    assert [each.number for each in theirs if "left_out" in each.user_attrs] == left_out
    assert verify(folder.run_dir).sound
    assert run(folder).reason == "finished before"
    assert "the edited space is not searched" not in capsys.readouterr().err
    folder.write(named, *EDIT, ("low: 1.0e-3", "low: 2.0e-3"))
    assert run(folder).reason == "finished before"
    assert "the edited space is not searched: the budget is used" in capsys.readouterr().err
    with pytest.raises(RunDirError, match="were asked before the space was edited, and do not have"):
        study_text(folder.run_dir, "5 epochs", best=7)
    for each in read_study(folder.run_dir, on_damage=print).trials.values():
        text = analysis.load(folder.run_dir).study_file.with_point(each.params, each.hyperparameters)
        assert parse(text, "best.yaml").enqueue[0] == {"weight_decay": 0.0, **each.params}
    (folder.run_dir / "optuna.journal").unlink()
    folder.write(named, *EDIT[:3], ("trials: 4", "trials: 8"))
    assert run(folder).counts["COMPLETE"] == 8
    assert len(records(folder, "edited")) == 1


@pytest.mark.slow
def test_an_edit_that_no_trial_fits_is_said_with_how_to_undo_it(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    typo = ("low: 1.0e-3, high: 1.0e-1", "low: 1.0e-8, high: 1.0e-6")
    folder.write(typo, ("trials: 4", "trials: 5"))
    capsys.readouterr()
    run(folder)
    said = "0 of 4 earlier trials fit, 4 left out by learning_rate; the sampler starts without them. To undo "
    assert said in capsys.readouterr().err
    folder.write(("trials: 4", "trials: 6"))
    run(folder)
    assert "4 of 5 earlier trials fit, 1 left out by learning_rate\n" in capsys.readouterr().err
    trials = read_journal(folder.run_dir / "optuna.journal").trials
    assert [each.number for each in trials if "left_out" in each.user_attrs] == [4]


KILLS = [
    (RunDir, "record_edited", 1, True),
    (RunDir, "replace_journal", 1, False),
    (RunDir, "replace_journal", 1, True),
]
"""The simulation tries all other moments."""


@pytest.mark.slow
def test_an_edit_that_is_killed_at_any_moment_ends_as_one_that_is_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder)
    begun = {
        path.relative_to(folder.run_dir): path.read_bytes()
        for path in folder.run_dir.rglob("*")
        if path.is_file()
    }
    folder.write(*EDIT)
    run(folder)
    whole = table(folder)
    for owner, name, call, after in KILLS:
        for path in folder.run_dir.rglob("*"):
            if path.is_file():
                path.unlink()
        for path, data in begun.items():
            (folder.run_dir / path).write_bytes(data)
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call, after=after)
            with pytest.raises(Killed):
                run(folder)
        run(folder)
        assert table(folder) == whole, name
        assert len(records(folder, "edited")) == 1, name
        assert verify(folder.run_dir).sound, name


@pytest.mark.slow
def test_trials_that_run_go_on_as_they_were_asked(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder)
    whole = table(folder)
    folder.run_dir.rename(folder.path / "whole")
    stop_after(folder, monkeypatch, "report", 2)
    (asked,) = records(folder, "asked")[:1]
    other = 3 - asked["params"]["accumulation_steps"]
    folder.write((SPACE, ""), ("slow: 0.0}", f"slow: 0.0, accumulation_steps: {other}}}"))
    run(folder)
    trials = analysis.load(folder.run_dir).trials
    assert table(folder)[0] == whole[0]
    assert trials.params_accumulation_steps.tolist()[0] == 3 - other
    assert set(trials.params_accumulation_steps[len(records(folder, "asked")[:1]) :]) >= {other}


def test_an_edit_that_was_taken_back_before_it_was_resumed_is_on_record(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(folder, monkeypatch, "told", 1)
    folder.write(*EDIT)
    with monkeypatch.context() as patch:
        kill_at(patch, RunDir, "record_edited", 1, after=True)
        with pytest.raises(Killed):
            run(folder)
    folder.write()
    run(folder)
    first, second = records(folder, "edited")
    assert json.dumps(first["before"]) == json.dumps(second["after"])


def test_an_edit_that_cannot_be_meant_is_refused_before_anything_is_written(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(folder, monkeypatch, "told", 1)
    log = (folder.run_dir / "log.jsonl").read_bytes()
    folder.write((SPACE, ""))
    with pytest.raises(
        RunDirError, match=r"space\.accumulation_steps: is gone, and trials were asked by it\. Write"
    ):
        run(folder)
    folder.write(("sampler:", "enqueue: [{accumulation_steps: 1}]\nsampler:"))
    with pytest.raises(RunDirError, match=r"enqueue\[0\].accumulation_steps: was None, is 1"):
        run(folder)
    assert (folder.run_dir / "log.jsonl").read_bytes() == log
