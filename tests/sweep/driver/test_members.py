"""Populations of a real task: what a member comes to follows from its lineage, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

import analysis
from runlog.lineage import Lineage
from runlog.study import read_study
from sweep.api.replaying.replay import replay
from sweep.rundir.rundir import RunDir
from tests.logs import records
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run
from tests.sweep.studies.line import Line
from train_core import LaneReport, Length, Population, Program, keys, split_for

pytestmark = pytest.mark.usefixtures("uncompiled")

PBT = (
    ("length: {epochs: 3}", "length: {epochs: 5}, report_every: {epochs: 1}"),
    ("lanes: 1", "lanes: auto"),
    ("sampler: {name: random}", "sampler: {name: pbt}"),
    ("budget: {trials: 4}", "budget: {trials: 6}"),
)


def values(run_dir: Path) -> dict[int, float]:
    trials = analysis.load(run_dir).trials
    return dict(zip(trials.number, trials.value, strict=True))


def lineage_of(run_dir: Path) -> Lineage:
    return read_study(run_dir, on_damage=lambda each: None).lineage


@pytest.fixture
def undisturbed(folder: Folder) -> Folder:
    folder.write(*PBT)
    assert run(folder).counts["COMPLETE"] == 6
    return folder


def test_a_member_s_value_is_that_of_its_lineage_trained_alone(undisturbed: Folder) -> None:
    study = read_study(undisturbed.run_dir, on_damage=lambda each: None)
    changed = {change.trial for change in study.lineage.changes}
    assert changed, "members copied each other"
    task, root = Line(), keys.key(3)
    for number in sorted(changed)[:2]:
        stretches = study.lineage.until(number, 10**9)
        static, _ = split_for(task, stretches[0].hyperparameters)
        alone = Population(Program(task, static), 1)
        train_size = alone.program.data.train_size
        length = Length(5 * train_size, train_size)
        before = stretches[0]
        alone.load(
            0,
            key=keys.fold_in(keys.fold_in(root, before.trial or 0), 0),
            hyperparameters=before.hyperparameters,
            length=length,
        )
        reports: list[LaneReport] = []
        for stretch in stretches:
            if stretch is not before:
                if stretch.trial != before.trial:
                    alone.rekey(0, keys.fold_in(keys.fold_in(root, stretch.trial or 0), 0))
                alone.change(0, stretch.hyperparameters)
            before = stretch
            while alone.done(0) * 16 < min(stretch.until, length.examples):
                reports += alone.advance().reports
        assert reports[-1].metrics["validation_loss"] == values(undisturbed.run_dir)[number]


@pytest.mark.parametrize(("name", "call"), [("record_evolved", 2), ("write", 9)])
def test_a_population_that_was_killed_comes_to_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    folder.write(*PBT, ("budget:", "checkpoints: {every: 0.01s}\nbudget:"))
    with monkeypatch.context() as killing:
        kill_at(killing, RunDir, name, call, after=True)
        with pytest.raises(Killed):
            run(folder)
    assert run(folder).counts["COMPLETE"] == 6
    killed, was = values(folder.run_dir), lineage_of(folder.run_dir)
    assert was.changes
    folder.study.write_text(folder.study.read_text().replace("name: line", "name: again"))
    run(folder)
    assert values(folder.runs / "again") == killed
    assert lineage_of(folder.runs / "again").changes == was.changes


def test_in_a_fixed_order_a_population_is_the_same_with_fewer_lanes_than_members(folder: Folder) -> None:
    """Members that wait for the others give up their lanes; where all have one, none is saved."""
    fixed = ("budget:", "order: fixed\nbudget:")
    folder.write(*PBT, fixed)
    run(folder)
    together, was = values(folder.run_dir), lineage_of(folder.run_dir)
    assert was.changes
    assert not [each for each in records(folder.run_dir, "checkpoint") if not each["final"]]
    text = folder.study.read_text().replace("name: line", "name: again").replace("lanes: auto", "lanes: 2")
    folder.study.write_text(text)
    run(folder)
    assert values(folder.runs / "again") == together
    assert sorted(lineage_of(folder.runs / "again").changes, key=repr) == sorted(was.changes, key=repr)


def test_a_member_is_replayed_by_its_lineage(undisturbed: Folder) -> None:
    """From its last copy on its reports are the recorded ones, and the best one's weights are."""
    study = read_study(undisturbed.run_dir, on_damage=lambda each: None)
    changed = sorted({change.trial for change in study.lineage.changes})
    best = study.best()[0].number
    found = replay(undisturbed.run_dir, sorted({*changed[:2], best}))
    assert [each.difference for each in found.trials] == [None] * len(found.trials)
    (of_best,) = (each for each in found.trials if each.trial == best)
    assert of_best.weights == "equal"
    of_changed = next(each for each in found.trials if each.trial == changed[0])
    assert 0 < of_changed.reports < 5
