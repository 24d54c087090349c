"""Trials of a finished run, trained for longer: `sweep extend`."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
import train_core
from sweep.api.extend import study_text
from sweep.api.run import run_study
from sweep.driver.extension import Extension
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError, SpecError
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import load
from tests.sweep.conftest import Folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]


def run(folder: Folder, study: Path | None = None) -> None:
    run_study(load(study or folder.study), runs=folder.runs, progress=Quiet())


def extended(folder: Folder, length: str = "5 epochs", **options: object) -> Path:
    path, text = study_text(folder.run_dir, length, **options)  # type: ignore[arg-type]
    path.write_text(text)
    return path


def weights(run_dir: Path, trial: int, examples: int) -> dict[str, object]:
    kept = analysis.load(run_dir).checkpoints
    (path,) = kept[(kept.trial == trial) & (kept.examples == examples)].path
    arrays = train_core.load(path).arrays
    return {name: array.reshape(-1).tolist() for name, array in arrays.items()}


def test_extended_trials_end_as_if_they_had_trained_so_long_from_the_start(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a constant rate a longer run is the same run: same key, same data, bit for bit."""
    run(folder)
    path = extended(folder, best=2)
    run(folder, path)
    longer = Folder(tmp_path_factory.mktemp("longer"))
    keeping = ("budget: {trials: 4}", "budget: {trials: 4}\ncheckpoints: {keep_best: 4}")
    longer.write(("epochs: 3", "epochs: 5"), keeping)
    run(longer)
    after = analysis.load(folder.runs / "line-5-epochs")
    whole = analysis.load(longer.run_dir)
    assert list(after.trials.parent_run) == [str(folder.run_dir.resolve())] * 2
    for number, parent in zip(after.trials.number, after.trials.parent_trial, strict=True):
        theirs = whole.trials.set_index("number").loc[parent]
        assert after.trials.value[number] == theirs.value
        rows = after.metrics[after.metrics.trial == number]
        assert list(rows.examples) == [256, 320]
        same = whole.metrics[(whole.metrics.trial == parent) & (whole.metrics.examples > 192)]
        assert list(rows.validation_loss) == list(same.validation_loss)
        assert weights(after.path, number, 320) == weights(whole.path, parent, 320)


def test_the_best_go_on_and_optuna_knows_from_where(folder: Folder) -> None:
    run(folder)
    best = list(analysis.load(folder.run_dir).trials.sort_values("value").number[:2])
    run(folder, extended(folder, best=2))
    journal = folder.runs / "line-5-epochs" / "optuna.journal"
    storage = JournalStorage(JournalFileBackend(str(journal)))
    theirs = optuna.load_study(study_name="line-5-epochs", storage=storage)
    assert [trial.user_attrs["extends"]["trial"] for trial in theirs.trials] == best
    before = analysis.load(folder.run_dir).trials.set_index("number")
    for trial, parent in zip(theirs.trials, best, strict=True):
        assert trial.params["learning_rate"] == before.params_learning_rate[parent]


def test_an_extended_schedule_stays_where_it_ended_unless_it_is_stretched(folder: Folder) -> None:
    """A cosine's rate is 0 at its end: kept, nothing is learnt any more; stretched, something is."""
    folder.write(("slow: 0.0", "slow: 0.0, schedule: cosine"))
    run(folder)
    run(folder, extended(folder, best=1))
    kept = analysis.load(folder.runs / "line-5-epochs").metrics.validation_loss
    assert kept.nunique() == 1
    run(folder, extended(folder, best=1, name="stretched", stretch=True))
    assert analysis.load(folder.runs / "stretched").metrics.validation_loss.nunique() == 2


def test_an_extension_that_is_killed_goes_on_with_the_same_table(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder)
    undisturbed = extended(folder)
    run(folder, undisturbed)
    expected = analysis.load(folder.runs / "line-5-epochs")
    path = extended(folder, name="killed")
    record, calls = RunDir.record_reports, 0

    def killing(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return record(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, "record_reports", killing)
        with pytest.raises(KeyboardInterrupt):
            run(folder, path)
    run(folder, path)
    found = analysis.load(folder.runs / "killed")
    assert list(found.trials.value) == list(expected.trials.value)
    columns = ["trial", "examples", "validation_loss"]
    rows, others = (each.metrics[columns].sort_values(columns[:2]) for each in (found, expected))
    assert rows.to_numpy().tolist() == others.to_numpy().tolist()


def test_the_verb_writes_a_study_file_that_goes_on_by_itself(folder: Folder) -> None:
    assert folder.sweep("run", "study.yaml").returncode == 0
    found = folder.sweep("extend", "runs/line", "--length", "4 epochs", "--best", "1", "--quiet")
    assert found.returncode == 0, found.stderr
    assert "line-4-epochs: 1 complete" in found.stdout
    again = folder.sweep("run", "line-4-epochs.yaml", "--quiet")
    assert "finished before" in again.stdout


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("forty", "length 'forty' is not a number of epochs, examples, updates. Write it like"),
        ("2 epochs", "length 2 epochs is not longer than the run's 3 epochs"),
        ("1.5 examples", "is not a number of"),
    ],
)
def test_a_length_that_cannot_be_meant_is_said(folder: Folder, length: str, said: str) -> None:
    run(folder)
    with pytest.raises(RunDirError, match=said.replace("(", r"\(")):
        study_text(folder.run_dir, length)


def test_a_length_in_another_unit_must_be_longer_too(folder: Folder) -> None:
    run(folder)
    with pytest.raises(SpecError, match="must be longer than the run that is extended"):
        run(folder, extended(folder, "100 examples"))


def test_a_run_that_kept_no_checkpoint_or_is_none_is_said(folder: Folder, tmp_path: Path) -> None:
    folder.write(("budget: {trials: 4}", "budget: {trials: 4}\ncheckpoints: {keep_best: 0}"))
    run(folder)
    with pytest.raises(RunDirError, match="holds no final checkpoint"):
        study_text(folder.run_dir, "5 epochs")
    with pytest.raises(RunDirError, match="is not a run directory"):
        study_text(tmp_path / "nothing", "5 epochs")


def test_an_extended_trial_that_is_not_kept_is_named_with_those_that_are(folder: Folder) -> None:
    run(folder)
    path = extended(folder, best=1)
    text = path.read_text()
    kept = load(path).extends
    assert kept is not None
    path.write_text(text.replace(f"trials: [{kept.trials[0]}]", "trials: [77]"))
    with pytest.raises(SpecError, match=r"must name complete trials .*77.*There are \d"):
        Extension(load(path))


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden"])
def test_a_name_that_leaves_the_folder_writes_nothing(folder: Folder, name: str) -> None:
    run(folder)
    before = sorted(folder.path.parent.rglob("*.yaml"))
    with pytest.raises(SpecError, match="must be a folder name"):
        extended(folder, name=name)
    assert sorted(folder.path.parent.rglob("*.yaml")) == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trials: 1}", "trials: 2}", "must be at most 1, the number of trials that are extended"),
        ("learning_rate: 0.", "learning_rate: 0.0", "must be the hyperparameters of the trials"),
    ],
)
def test_trials_without_a_parent_are_refused(folder: Folder, old: str, new: str, said: str) -> None:
    run(folder)
    path = extended(folder, best=1)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError, match=said):
        run(folder, path)
