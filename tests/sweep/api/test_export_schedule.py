"""The schedule of a member of a population, as a study file: it trains to the member's weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import analysis
from sweep.api.exporting.schedule import export_schedule
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from sweep.spec.parse import load
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run, sweep

pytestmark = pytest.mark.usefixtures("uncompiled")

PBT = (
    ("length: {epochs: 3}", "length: {epochs: 5}, report_every: {epochs: 1}"),
    ("lanes: 1", "lanes: auto"),
    ("sampler: {name: random}", "sampler: {name: pbt}"),
    ("budget: {trials: 4}", "budget: {trials: 6}\ncheckpoints: {keep_best: 6, every: 0.01s}"),
)


@pytest.fixture
def population(folder: Folder) -> Folder:
    """A population that has ended; its weights are those of the last one, trained again by its file."""
    folder.write(*PBT)
    assert run(folder).counts["COMPLETE"] == 6
    return folder


def end(run_dir: Path, trial: int) -> tuple[float, str]:
    """A trial's value, and the hash of its final checkpoint."""
    found = analysis.load(run_dir)
    kept = found.checkpoints[(found.checkpoints.trial == trial) & found.checkpoints.final]
    (path,) = kept.path
    value = found.trials.set_index("number").value[trial]
    return value, hashlib.sha256(Path(path).read_bytes()).hexdigest()


def copied(run_dir: Path) -> int:
    """A member that has taken the state of another."""
    return int(analysis.load(run_dir).lineage["trial"].iloc[-1])


def test_a_member_s_schedule_trains_to_its_weights(
    population: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed on the way and resumed, too: in a piece of another's key a checkpoint is the trial's own."""
    number = copied(population.run_dir)
    found = export_schedule(population.run_dir, number)
    assert (found.trial, found.path.name) == (number, f"line-trial-{number}.yaml")
    assert found.pieces > 1
    with monkeypatch.context() as killing:
        kill_at(killing, RunDir, "record_reports", 3, after=True)
        with pytest.raises(Killed):
            run_study(load(found.path), runs=population.runs, progress=Quiet())
    run_study(load(found.path), runs=population.runs, progress=Quiet())
    assert end(population.runs / found.path.stem, 0) == end(population.run_dir, number)


def test_the_best_one_is_exported_by_default_and_the_command_says_where(population: Folder) -> None:
    best = int(analysis.load(population.run_dir).best()["number"].iloc[0])
    said = sweep(population, "export-schedule", "runs/line", "--name", "best").stdout
    assert said.startswith(f"wrote the schedule of trial {best} to {population.path / 'best.yaml'}, ")
    (population.path / "best.yaml").write_text("name: mine\n")
    with pytest.raises(RunDirError, match="already exists and differs"):
        export_schedule(population.run_dir, name="best")
    with pytest.raises(RunDirError, match="no trial 9"):
        export_schedule(population.run_dir, 9)


def test_a_run_without_a_population_has_no_schedules(folder: Folder) -> None:
    folder.write()
    run(folder)
    with pytest.raises(RunDirError, match="has no population"):
        export_schedule(folder.run_dir)
