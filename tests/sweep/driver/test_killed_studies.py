"""Studies of each kind of value and of length, killed and resumed: they end as if they had not been."""

from __future__ import annotations

import warnings

import pytest

import analysis
from sweep.api.keeping.remove import remove
from tests.sweep.conftest import Folder
from tests.sweep.in_process import run, stop_after, table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]

BEST = ("direction: minimize}", "direction: maximize, of: best}")
"""The loss falls, so that the best report of this direction is the first."""

STUDIES = {
    "the best report": (BEST,),
    "the mean of the last reports": (
        ("direction: minimize}", "direction: minimize, of: {mean_of_last: 2}}"),
    ),
    "a length by trial": (
        ("  accumulation_steps: {choices: [1, 2]}", "  epochs: {low: 1, high: 4}"),
        (", length: {epochs: 3}", ""),
    ),
}


def kept(folder: Folder) -> set[tuple[int, int]]:
    """Trial and examples of each checkpoint that is kept."""
    found = analysis.load(folder.run_dir).checkpoints
    return set(zip(found.trial, found.examples, strict=True))


@pytest.mark.parametrize("kind", STUDIES)
def test_a_killed_study_ends_as_one_that_was_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder.write(*STUDIES[kind])
    run(folder)
    whole, checkpoints = table(folder), kept(folder)
    lengths = analysis.load(folder.run_dir).metrics.groupby("trial").examples.max().to_dict()
    folder.run_dir.rename(folder.path / "whole")
    stop_after(folder, monkeypatch, "report", 4)
    run(folder)
    assert table(folder) == whole
    assert kept(folder) == checkpoints
    assert analysis.load(folder.run_dir).metrics.groupby("trial").examples.max().to_dict() == lengths
    if kind == "a length by trial":
        epochs = analysis.load(folder.run_dir).trials.set_index("number").params_epochs
        assert lengths == {number: 64 * each for number, each in epochs.items()}
        assert len(set(lengths.values())) > 1


@pytest.mark.parametrize(("event", "count"), [("report", 3), ("checkpoint", 1), ("told", 1), ("told", 4)])
def test_whenever_the_driver_dies_the_best_trials_have_their_final_checkpoints(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, event: str, count: int
) -> None:
    stop_after(folder, monkeypatch, event, count)
    run(folder)
    found = analysis.load(folder.run_dir)
    best = found.best(3).number
    assert len(best) == 3
    assert set(found.checkpoints.trial[found.checkpoints.final]) >= set(best)
    assert not found.metrics.duplicated(["trial", "replicate", "examples"]).any()


def test_the_model_of_a_trial_is_that_of_its_best_report_where_its_value_is(folder: Folder) -> None:
    folder.write(BEST, ("seed: 3", "seed: 3\ncheckpoints: {keep_best: 2}"))
    run(folder)
    found = analysis.load(folder.run_dir)
    number = int(found.best().number[0])
    assert kept(folder) >= {(number, 64), (number, 192)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = found._checkpoint_path(number, 0)
        model = found.model(number)
    assert path.endswith("examples-000000064.safetensors")
    assert model is not None
    remove(folder.run_dir, keep_best=1)
    assert kept(folder) == {(number, 64), (number, 192)}
    (folder.run_dir / path).unlink()
    with pytest.warns(
        UserWarning, match="best report, at 64 examples, was not kept; taken is the one at 192"
    ):
        analysis.load(folder.run_dir).model(number)


def test_the_model_of_a_trial_is_that_of_its_last_report_else(folder: Folder) -> None:
    folder.write(
        ("direction: minimize", "direction: maximize"),
        ("seed: 3", "seed: 3\ncheckpoints: {keep_best_report: true}"),
    )
    run(folder)
    found = analysis.load(folder.run_dir)
    number = int(found.best().number[0])
    assert kept(folder) >= {(number, 64), (number, 192)}
    assert found._checkpoint_path(number, 0).endswith("examples-000000192.safetensors")
