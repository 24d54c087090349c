"""Whole studies in this process: run, run again, extended, killed between any two steps."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
import train_core
import train_core.lanes.width
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from sweep.search.journal import Journal
from sweep.search.study import Study
from sweep.spec.parse import load
from sweep.spec.resolve import with_budget_trials
from sweep.vocabulary.trial import Outcome
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run, table

pytestmark = pytest.mark.usefixtures("uncompiled")


def optuna_study(run_dir: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(run_dir / "optuna.journal")))
    return optuna.load_study(study_name="line", storage=storage)


def test_a_study_leaves_tables_that_agree_with_optuna_and_with_its_reports(folder: Folder) -> None:
    summary = run(folder)
    assert summary.counts == {"COMPLETE": 4, "PRUNED": 0, "FAIL": 0, "RUNNING": 0}
    loaded = analysis.load(folder.run_dir)
    metrics = loaded.metrics
    assert not metrics.duplicated(["trial", "replicate", "examples"]).any()
    last = metrics.sort_values("examples").groupby("trial").validation_loss.last()
    theirs = optuna_study(folder.run_dir)
    for number, (_, value) in table(folder).items():
        trial = theirs.trials[number]
        assert value == last.to_dict()[number] == trial.value
        assert trial.intermediate_values[192] == trial.value
        assert list(metrics[metrics.trial == number].examples) == [64, 128, 192]
    best = summary.as_json()["best"]
    assert (best["number"], best["value"]) == (theirs.best_trial.number, theirs.best_value)


@pytest.mark.slow
def test_the_best_checkpoints_stay_and_no_others(folder: Folder) -> None:
    folder.write(("budget: {trials: 4}", "budget: {trials: 6}\ncheckpoints: {keep_best: 2}"))
    run(folder)
    loaded = analysis.load(folder.run_dir)
    best = set(loaded.trials.sort_values("value").number[:2])
    kept = loaded.checkpoints
    assert set(kept.trial) == best
    files = {str(path) for path in folder.run_dir.glob("checkpoints/*/*/*")}
    assert set(kept.path) == files


@pytest.mark.parametrize(("every", "boundaries"), [("190", [190, 192]), ("8", list(range(8, 193, 8)))])
def test_boundaries_that_one_micro_batch_passes_are_all_reported(
    folder: Folder, every: str, boundaries: list[int]
) -> None:
    folder.write(("length: {epochs: 3}", f"length: {{epochs: 3}}, report_every: {{examples: {every}}}"))
    assert run(folder).counts["COMPLETE"] == 4
    metrics = analysis.load(folder.run_dir).metrics
    assert list(metrics[metrics.trial == 0].examples) == boundaries


def test_a_trial_that_diverges_where_several_boundaries_are_passed_fails_once(folder: Folder) -> None:
    changes = ("{low: 1.0e-3, high: 1.0e-1, log: true}", "{low: 1.0e+18, high: 1.0e+19, log: true}")
    folder.write(changes, ("length: {epochs: 3}", "length: {epochs: 3}, report_every: {examples: 8}"))
    run(folder)
    trials = analysis.load(folder.run_dir).trials
    assert set(trials.state) == {"FAIL"}
    assert all("finite" in reason for reason in trials.reason)


def test_a_finished_study_says_so_and_starts_nothing(folder: Folder) -> None:
    run(folder)
    before = (folder.run_dir / "log.jsonl").read_bytes()
    assert run(folder).reason == "finished before"
    assert (folder.run_dir / "log.jsonl").read_bytes() == before


@pytest.mark.slow
def test_invariant_6_extending_a_study_changes_no_earlier_trial(folder: Folder) -> None:
    run(folder)
    before = table(folder)
    folder.write(("trials: 4", "trials: 6"))
    summary = run(folder)
    after = table(folder)
    assert summary.counts["COMPLETE"] == len(after) == 6
    assert {number: after[number] for number in before} == before


DEATHS = [
    (RunDir, "commit"),
    (RunDir, "record_outcome"),
    (Study, "tell"),
    (Study, "report"),
    (Study, "ask"),
    (Journal, "commit"),
]


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("owner", "name"), DEATHS, ids=[f"{owner.__name__}.{name}" for owner, name in DEATHS]
)
def test_invariant_3_a_driver_killed_anywhere_ends_with_the_same_table(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, owner: type, name: str, after: bool
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    for call in (1, 2, 5):
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, owner, name, call, after=after)
            with contextlib.suppress(Killed):
                run(folder)
    assert run(folder).counts["COMPLETE"] == 4
    assert table(folder) == table(undisturbed)
    told = [trial.number for trial in optuna_study(folder.run_dir).trials if trial.state.is_finished()]
    assert told == [0, 1, 2, 3]


def test_invariant_1_a_trial_told_in_the_log_alone_is_told_to_optuna_on_resume(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.driver.driver.COMMIT_EVERY_S", 0.0)
    told: list[int] = []
    tell = Study.tell

    def remember(self: Study, outcome: Outcome) -> None:
        told.append(outcome.number)
        tell(self, outcome)

    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, Study, "tell", 2, after=False)
        with pytest.raises(Killed):
            run(folder)
    monkeypatch.setattr(Study, "tell", remember)
    run(folder)
    assert sorted(told) == [1, 2, 3]


def test_a_failing_trial_ends_with_its_reason_and_the_study_goes_on(folder: Folder) -> None:
    folder.write(("line.py:Line", "line.py:Raising"), ("  accumulation_steps: {choices: [1, 2]}\n", ""))
    with pytest.raises(Exception, match="the model cannot be built"):
        run(folder)


def test_a_resume_says_what_of_the_log_is_damaged(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """It was recorded, and said by `status` alone."""
    run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    log = folder.run_dir / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    capsys.readouterr()
    for said in (1, 0):
        run_study(load(folder.study), runs=folder.runs, progress=Quiet())
        assert capsys.readouterr().err.count(f"{folder.run_dir}: log.jsonl was cut short") == said


def test_another_study_of_the_same_name_is_refused_with_what_differs(folder: Folder) -> None:
    run(folder)
    folder.write(("slow: 0.0", "slow: 0.1"), ("seed: 3", "seed: 4"))
    with pytest.raises(RunDirError) as caught:
        run(folder)
    assert "fixed.slow: was 0.0, is 0.1" in str(caught.value)
    assert "seed: was 3, is 4" in str(caught.value)


def test_a_run_keeps_the_order_that_it_began_with(folder: Folder) -> None:
    folder.write(("{name: random}", "{name: tpe}\norder: fixed"))
    run(folder)
    assert "order: {lag: 8}" in (folder.run_dir / "study.yaml").read_text()
    folder.write(("{name: random}", "{name: tpe}\norder: fixed"), ("trials: 4", "trials: 40"))
    assert (
        run_study(with_budget_trials(load(folder.study), 5), runs=folder.runs, progress=Quiet()).counts[
            "COMPLETE"
        ]
        == 5
    )
    for order in ("free", "{lag: 3}"):
        folder.write(("{name: random}", f"{{name: tpe}}\norder: {order}"))
        with pytest.raises(RunDirError, match="order"):
            run(folder)


def test_a_changed_task_is_refused_unless_accepted(folder: Folder) -> None:
    run(folder)
    source = folder.path / "line.py"
    source.write_text(source.read_text() + "# changed\n")
    with pytest.raises(RunDirError, match="--accept-changed-task"):
        run(folder)
    spec = load(folder.study)
    again = run_study(spec, runs=folder.runs, progress=Quiet(), accept_changed_task=True)
    assert again.reason == "finished before"


def test_a_changed_file_that_the_task_reads_is_refused_and_workers_keep_its_recorded_text(
    folder: Folder,
) -> None:
    folder.write(("line.py:Line", "line.py:Reading"))
    config = folder.path / "config.txt"
    config.write_text("before")
    run(folder)
    read = json.loads((folder.run_dir / "provenance.json").read_text())["reads"]
    assert read["config.txt"]["text"] == "before"
    folder.write(("line.py:Line", "line.py:Reading"), ("trials: 4", "trials: 5"))
    config.write_text("after")
    with pytest.raises(
        RunDirError, match=r"line.py:Reading reads changed .*: config.txt. Restore it, .*--acc"
    ):
        run(folder)
    spec = load(folder.study)
    again = run_study(spec, runs=folder.runs, progress=Quiet(), accept_changed_task=True)
    assert again.counts["COMPLETE"] == 5
    assert list(dict.fromkeys((folder.path / "seen.txt").read_text().split())) == ["before", "after"]


def test_a_lost_journal_is_built_again_from_the_log(folder: Folder) -> None:
    run(folder)
    before = optuna_study(folder.run_dir).trials
    (folder.run_dir / "optuna.journal").unlink()
    folder.write(("trials: 4", "trials: 5"))
    run(folder)
    after = optuna_study(folder.run_dir).trials
    assert len(after) == 5
    for old, new in zip(before, after, strict=False):
        assert (old.params, old.values, old.state) == (new.params, new.values, new.state)
        assert old.intermediate_values == new.intermediate_values


def test_a_journal_that_ends_in_the_middle_of_a_line_is_gone_on_with(folder: Folder) -> None:
    run(folder)
    journal = folder.run_dir / "optuna.journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    folder.write(("trials: 4", "trials: 5"))
    run(folder)
    assert len(optuna_study(folder.run_dir).trials) == 5


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_pruners_end_trials_early_and_tell_them_pruned(folder: Folder, pruner: str) -> None:
    folder.write(
        ("trials: 4}", f"trials: 12}}\npruner: {{name: {pruner}}}"),
        ("epochs: 3", "epochs: 9"),
        ("high: 1.0e-1", "high: 3.0"),
    )
    summary = run(folder)
    assert summary.counts["PRUNED"] > 0
    assert sum(summary.counts.values()) == 12
    loaded = analysis.load(folder.run_dir)
    pruned = loaded.trials[loaded.trials.state == "PRUNED"].number
    reports = loaded.metrics.groupby("trial").size()
    assert (reports[pruned] < 9).all()


def test_replicates_train_under_their_own_keys_and_count_as_one_trial(folder: Folder) -> None:
    folder.write(("length: {epochs: 3}", "length: {epochs: 3}, replicates: 2"))
    summary = run(folder)
    loaded = analysis.load(folder.run_dir)
    assert summary.counts["COMPLETE"] == len(loaded.trials) == 4
    last = loaded.metrics[loaded.metrics.examples == 192].pivot(
        index="trial", columns="replicate", values="validation_loss"
    )
    assert (last[0] != last[1]).all()
    assert loaded.trials.value.to_numpy() == pytest.approx(last.mean(axis=1).to_numpy())


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [3, 8])
def test_invariant_2_the_number_of_lanes_changes_no_value(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, lanes: int
) -> None:
    wide = Folder(tmp_path_factory.mktemp("wide"))
    for each, number in ((folder, 1), (wide, lanes)):
        each.write(("trials: 4", "trials: 10"), ("lanes: 1", f"lanes: {number}"), ("epochs: 3", "epochs: 2"))
        run(each)
    assert table(wide) == table(folder)
    widths = analysis.load(wide.run_dir).metrics.width
    assert widths.max() == lanes
    assert widths.min() < lanes, "as trials run out the width must halve"


def test_the_summary_says_how_well_lanes_were_used(folder: Folder) -> None:
    folder.write(("trials: 4", "trials: 16"), ("lanes: 1", "lanes: 4"))
    found = run(folder).as_json()
    assert found["lanes"] == 4
    assert found["traces"] > 0
    assert 0.9 < found["lane_busy_fraction"] <= 1.0


@pytest.mark.slow
def test_lanes_auto_measures_once_and_finds_it_again_in_the_cache(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_core.lanes.width, "SHARE", 1e9)  # so short a study would not be worth it
    folder.write(("trials: 4", "trials: 8"), ("lanes: 1", "lanes: auto"))
    run(folder)
    (kept,) = (folder.path / "cache" / "lanes").iterdir()
    choice = json.loads(kept.read_text())
    assert [row["width"] for row in choice["table"]][:2] == [1, 2]
    for row in choice["table"]:
        row["examples_per_s"] = 40.0 if row["width"] == 2 else 10.0
    kept.write_text(json.dumps({**choice, "stopped_early": False}))
    monkeypatch.setattr(
        "train_core.best_width", lambda *_, **__: pytest.fail("it was measured again"), raising=False
    )
    folder.write(("trials: 4", "trials: 8"), ("lanes: 1", "lanes: auto"), ("name: line", "name: again"))
    assert run(folder).as_json()["lanes"] == 2


def test_a_run_says_what_its_pruner_cannot_do(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Fault 30: `check` alone said it."""
    folder.write(
        ("length: {epochs: 3}", "length: {epochs: 5}"),
        (
            "{name: random}",
            "{name: random}\npruner: {name: patient, patience: 1, wrapped_pruner: {name: none}}",
        ),
    )
    run(folder)
    words = "pruner: patient can never end a trial: it wraps `none`"
    assert capsys.readouterr().err.count(words) == 1
    assert (folder.run_dir / "log.jsonl").read_text().count(words) == 1
