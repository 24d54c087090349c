"""Two objectives, constraints, conditions, replicates and hyperband in one study, killed and resumed."""

from __future__ import annotations

import contextlib

import optuna
import pytest

import analysis
from sweep.api.run import run_study
from sweep.driver.monitor.progress import Quiet
from sweep.rundir.rundir import RunDir
from sweep.search.study import Study
from sweep.spec.parse import load
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at

pytestmark = pytest.mark.slow

CHANGES = (
    (
        "{metric: validation_loss, direction: minimize}",
        "[{metric: validation_loss, direction: minimize}, {metric: train_loss, direction: minimize}]",
    ),
    ("optimizer: sgd, ", ""),
    (
        "accumulation_steps: {choices: [1, 2]}",
        "optimizer: {choices: [sgd, adam]}\n  momentum: {low: 0.0, high: 0.9, when: {optimizer: sgd}}",
    ),
    ("high: 1.0e-1", "high: 1.0"),
    ("length: {epochs: 3}", "length: {epochs: 9}, replicates: 3"),
    (
        "{name: random}",
        "{name: tpe, n_startup_trials: 5}\npruner: {name: hyperband, metric: validation_loss}",
    ),
    ("trials: 4}", "trials: 12}\nconstraints: {validation_loss: {max: 4.0}, peak_memory_bytes: {max: 8 GB}}"),
    ("lanes: 1", "lanes: 6"),
)


def test_objectives_constraints_conditional_space_replicates_and_hyperband_at_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    spec = load(folder.write(*CHANGES))
    for owner, name, call in ((Study, "tell", 3), (RunDir, "commit", 9)):
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            kill_at(patch, owner, name, call, after=False)
            run_study(spec, runs=folder.runs, progress=Quiet())
    summary = run_study(spec, runs=folder.runs, progress=Quiet())
    assert sum(summary.counts.values()) == 12
    assert summary.counts["RUNNING"] == summary.counts["FAIL"] == 0
    assert summary.counts["PRUNED"] > 0

    loaded = analysis.load(folder.run_dir)
    trials, metrics = loaded.trials, loaded.metrics
    assert not metrics.duplicated(["trial", "replicate", "examples"]).any()
    assert set(metrics.replicate) == {0, 1, 2}
    assert {"feasible", "constraints_validation_loss", "spread_train_loss", "values_train_loss"} <= set(
        trials
    )
    assert (trials.params_momentum.notna() == (trials.params_optimizer == "sgd")).all()
    best = {best.number for best in summary.top}
    assert best <= set(trials.number[(trials.state == "COMPLETE") & trials.feasible.astype(bool)])

    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    theirs = optuna.load_study(study_name="line", storage=optuna.storages.JournalStorage(backend))
    assert [trial.state.name for trial in theirs.trials] == list(trials.state)
    assert {trial.number for trial in theirs.best_trials} <= set(trials.number[trials.feasible.astype(bool)])


def test_optuna_dashboard_opens_the_journal(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="pip install 'sweep-mlx[analysis]'")
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    run_study(load(folder.study), runs=folder.runs, progress=Quiet())
    backend = optuna.storages.journal.JournalFileBackend(str(folder.run_dir / "optuna.journal"))
    assert dashboard.wsgi(optuna.storages.JournalStorage(backend)) is not None
