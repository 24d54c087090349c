"""The value of a trial's best report, and trials that end where they no longer get better."""

from __future__ import annotations

import optuna
import pytest

import analysis
from sweep.errors import SpecError
from sweep.spec.parse import parse
from tests.sweep.conftest import STUDY, Folder
from tests.sweep.in_process import run, stop_after

pytestmark = pytest.mark.usefixtures("uncompiled")

PATIENT = ("length: {epochs: 3}", "length: {epochs: 12}, patience: {reports: 2, min_delta: 0.5}")


def best_reports(folder: Folder) -> dict[int, tuple[float, int]]:
    """The least reported loss of each trial, and where, in examples."""
    metrics = analysis.load(folder.run_dir).metrics
    rows = metrics.loc[metrics.groupby("trial").validation_loss.idxmin()]
    return {
        trial: (loss, examples)
        for trial, loss, examples in zip(rows.trial, rows.validation_loss, rows.examples, strict=True)
    }


@pytest.mark.slow
def test_patience_ends_trials_complete_with_their_best_report_and_its_checkpoint(folder: Folder) -> None:
    folder.write(PATIENT, ("seed: 3", "seed: 3\ncheckpoints: {keep_best: 2}"))
    summary = run(folder)
    found = analysis.load(folder.run_dir)
    trials = found.trials.set_index("number")
    best = best_reports(folder)
    assert set(trials.state) == {"COMPLETE"}
    assert (found.metrics.groupby("trial").examples.max() < 12 * 64).sum() == 3
    assert {number: value for number, value in trials.value.items()} == {
        number: loss for number, (loss, _) in best.items()
    }
    ranked = sorted(best, key=lambda number: best[number][0])
    assert [each.number for each in summary.top] == ranked
    kept = found.checkpoints
    assert dict(zip(kept.trial, kept.examples, strict=True)) == {
        number: best[number][1] for number in ranked[:2]
    }
    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    theirs = optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend))
    assert {trial.number: trial.value for trial in theirs.trials} == trials.value.to_dict()


@pytest.mark.slow
def test_a_study_with_patience_that_is_killed_ends_as_if_it_was_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(PATIENT)
    run(folder)
    values = analysis.load(folder.run_dir).trials.value.tolist()
    folder.run_dir.rename(folder.path / "whole")
    stop_after(folder, monkeypatch, "report", 5)
    run(folder)
    assert analysis.load(folder.run_dir).trials.value.tolist() == values


def test_the_value_can_be_the_best_report_of_a_whole_trial(folder: Folder) -> None:
    folder.write(("direction: minimize}", "direction: maximize, of: best}"))
    run(folder)
    found = analysis.load(folder.run_dir)
    highest = found.metrics.groupby("trial").validation_loss.max()
    assert found.trials.set_index("number").value.to_dict() == highest.to_dict()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("direction: minimize}", "direction: minimize, of: first}", "objective.of"),
        ("direction: minimize}", "direction: minimize, of: {mean_of_last: 0}}", "objective.of"),
        ("epochs: 3}", "epochs: 3}, patience: {reports: 0}", "trial.patience.reports"),
        ("epochs: 3}", "epochs: 3}, patience: {report: 2}", "Did you mean `reports`"),
    ],
)
def test_what_cannot_be_meant_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(STUDY.replace(old, new), "study.yaml")
    assert words in str(caught.value)


def test_patience_goes_by_one_objective() -> None:
    two = "[{metric: validation_loss, direction: minimize}, {metric: train_loss, direction: minimize}]"
    text = STUDY.replace("{metric: validation_loss, direction: minimize}", two)
    with pytest.raises(SpecError, match=r"trial\.patience: goes by one objective"):
        parse(text.replace("epochs: 3}", "epochs: 3}, patience: {reports: 2}"), "study.yaml")
