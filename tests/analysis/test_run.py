"""What follows from a run's tables, seen on a real small study."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import pandas as pd
import pytest

import analysis
from sweep.vocabulary.trial import Outcome, TrialState
from tests.analysis.conftest import ROOT, environment
from tests.run_dirs import ask, begin, open_run, plan, write_recorded
from train_core.loading import load_task

pytestmark = pytest.mark.slow


def first(frame: pd.DataFrame) -> Any:
    """The first row, columns as attributes."""
    return next(frame.itertuples())


def test_the_best_come_first_and_only_complete_ones(run_path: Path) -> None:
    run = analysis.load(run_path)
    best = run.best(3)
    complete = run.trials[run.trials.state == "COMPLETE"].sort_values("value")
    assert best.number.tolist() == complete.number[:3].tolist()
    assert list(best.columns) == list(run.trials.columns)
    assert run.pareto().number.tolist() == best.number[:1].tolist()


def test_curves_have_a_row_a_boundary_and_a_column_a_trial(run_path: Path) -> None:
    run = analysis.load(run_path)
    curves = run.curves()
    assert curves.index.tolist() == [64, 128, 192, 256]
    row: Any
    for row in run.best(3).itertuples():
        assert curves.to_dict()[row.number][256] == row.value
    assert "PRUNED" in set(run.trials.state)
    pruned = run.trials[run.trials.state == "PRUNED"].number
    assert curves[pruned].isna().any().all()
    assert run.curves("train_loss").shape == curves.shape
    with pytest.raises(
        analysis.RunError, match="no report holds 'accuracy'; the metrics are: train_loss, val"
    ):
        run.curves("accuracy")


def test_the_ledger_has_timedeltas_and_counts(run_path: Path) -> None:
    run = analysis.load(run_path)
    ledger = run.ledger
    times = ["queue", "compile", "train", "evaluate", "checkpoint", "idle", "lost"]
    assert list(ledger.columns[:9]) == ["number", "state", *times]
    assert {str(ledger.dtypes[name]) for name in times} == {"timedelta64[us]"}
    assert not ledger[times].isna().any().any()
    assert (ledger.train > pd.Timedelta(0)).all()
    assert ledger.dtypes["examples"] == ledger.dtypes["traces"] == "Int64"
    assert (ledger.examples_per_s > 0).all()


def test_events_and_sessions_say_what_happened_when(run_path: Path) -> None:
    run = analysis.load(run_path)
    counts = run.events.event.value_counts()
    assert counts["opened"] == counts["closed"] == counts["slot"] == 1
    assert counts["asked"] == counts["told"] == len(run.trials)
    assert run.events.dtypes["trial"] == "Int64"
    assert str(run.events.dtypes["time"]) == "datetime64[us, UTC]"
    session = first(run.sessions)
    assert len(run.sessions) == 1
    assert (session.session, session.reason) == (1, "finished")
    assert session.wall >= session.slots_working > pd.Timedelta(0)
    assert session.closed > session.opened


def test_weights_and_model_are_those_of_the_trial(run_path: Path) -> None:
    run = analysis.load(run_path)
    best = first(run.best())
    tree = run.weights(best.number)
    generator: Any = mx.random.state
    state = generator[0].tolist()
    model = run.model(best.number)
    assert generator[0].tolist() == state
    assert not model.training
    assert model.parameters()["weight"].tolist() == tree["weight"].tolist()
    task = run.study_file.values["task"]
    assert task == "line.py:Line"
    validation = load_task(run.provenance["folder"], task).data().validation
    loss = ((model(mx.array(validation["x"])) - mx.array(validation["y"])) ** 2).mean().item()
    assert loss == pytest.approx(best.value, rel=1e-5)


@pytest.mark.parametrize(
    ("trains", "said"),
    [
        ("task: task.py:train", r"task task\.py:train is a function, which gives no model"),
        (
            "command: [python, train.py]",
            "a command gives no model; its trials' checkpoints hold what it left",
        ),
    ],
)
def test_what_has_no_model_says_so_and_asks_for_no_checkpoint(tmp_path: Path, trains: str, said: str) -> None:
    (tmp_path / "task.py").write_text("def train(trial): ...\n")
    with open_run(tmp_path) as run:
        begin(run)
        run.write_study(
            f"name: a\n{trains}\nspace: {{}}\nobjective: {{metric: accuracy, direction: maximize}}\n"
        )
        ask(run, 0)
        run.commit()
    write_recorded(run.path, "provenance.json", json.dumps({"folder": str(tmp_path)}))
    found = analysis.load(run.path)
    for get in (found.model, lambda trial: found.export_adapter(trial, tmp_path / "out")):
        with pytest.raises(analysis.RunError, match=said):
            get(0)
        with pytest.raises(analysis.RunError, match="no trial 7; there are 1"):
            get(7)


def test_a_model_that_cannot_be_had_gets_one_line(own_run: Path) -> None:
    run = analysis.load(own_run)
    best = int(run.best().number[0])
    dropped = min(set(run.trials.number) - set(run.checkpoints.trial))
    with pytest.raises(analysis.RunError, match=f"trial {dropped}, replicate 0 has no checkpoint"):
        run.model(dropped)
    write_recorded(own_run, "provenance.json", "{}")
    with pytest.raises(
        analysis.RunError, match=r"folder of its task is not recorded. Pass it: model\(trial, task"
    ):
        analysis.load(own_run).model(best)
    write_recorded(own_run, "provenance.json", '{"folder": "/nowhere", "task_sha256": "aa"}')
    with pytest.raises(analysis.RunError, match=r"task line\.py:Line cannot be loaded from /nowhere"):
        analysis.load(own_run).model(best)
    path = Path(run.checkpoints.path[0])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(analysis.RunError, match="damaged"):
        run.weights(int(run.checkpoints.trial[0]))


def test_a_changed_task_is_said(own_run: Path, tmp_path: Path) -> None:
    run = analysis.load(own_run)
    source = Path(run.provenance["folder"], "line.py").read_text()
    (tmp_path / "line.py").write_text(source + "# changed\n")
    write_recorded(own_run, "provenance.json", f'{{"folder": "{tmp_path}", "task_sha256": "aa"}}')
    with pytest.warns(analysis.RunWarning, match="has changed since the run"):
        analysis.load(own_run).model(int(run.best().number[0]))


def test_importance_sums_to_one_and_says_how_sure_it_is(run_path: Path) -> None:
    found = analysis.load(run_path).importance()
    assert set(found.index) <= {"learning_rate", "accumulation_steps", "weight_decay", "optimizer"}
    assert found.importance.sum() == pytest.approx(1.0)
    assert found.importance.is_monotonic_decreasing
    assert ((found.low <= found.importance) & (found.importance <= found.high)).all()
    pd.testing.assert_frame_equal(found, analysis.load(run_path).importance())


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    begin(run)
    for number in range(60):
        matters, not_so, branch = (number * 37 % 60) / 60, (number * 23 % 60) / 60, number % 3
        extra = {"inner": not_so} if branch == 0 else {}
        run.record_asked(plan(number), {"matters": matters, "other": not_so, "branch": branch, **extra})
        run.record_outcome(Outcome(number, TrialState.COMPLETE, (-((matters - 0.3) ** 2),), None, {}))
    run.commit()
    found = analysis.load(run.path)
    with pytest.warns(analysis.RunWarning, match=r"study.yaml: is not there; its space is taken"):
        table = found.importance()
    assert table.index[0] == "matters"
    assert table.importance.iloc[0] > table.chance.iloc[0]
    assert set(table.index) == {"matters", "other", "branch", "inner"}
    run.release()


def test_too_few_trials_for_importance_get_one_line(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.write_study("name: a\nspace: {}\nobjective: {metric: accuracy, direction: maximize}\n")
        run.commit()
        with pytest.raises(analysis.RunError, match=r"needs at least 8 complete trials .* there are 0"):
            analysis.load(run.path).importance()


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.record_opened(objectives=[("loss", "minimize"), ("speed", "maximize")], choices={}, trials=None)
        for number, values in enumerate([(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (0.5, 0.5)]):
            ask(run, number)
            run.record_outcome(Outcome(number, TrialState.COMPLETE, values))
        run.commit()
        found = analysis.load(run.path)
        assert found.pareto().number.tolist() == [0, 1, 3]
        assert found.best(4).number.tolist() == [0, 1, 3, 2]


def test_the_best_as_a_study_file_is_accepted_and_runs(study: Path, run_path: Path, tmp_path: Path) -> None:
    run = analysis.load(run_path)
    best = first(run.best())
    trial = run.study.trials[best.number]
    text = run.study_file.with_point(trial.params, trial.hyperparameters)
    for name in ("line.py",):
        (tmp_path / name).write_text((study / name).read_text())
    (tmp_path / "best.yaml").write_text(text)
    for verb in ("check", "run"):
        command = [sys.executable, "-m", "sweep", verb, "best.yaml"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    again = analysis.load(tmp_path / "runs" / "line-best")
    assert again.study.trials[0].params == run.study.trials[best.number].params


def test_several_runs_as_one(run_path: Path, own_run: Path, tmp_path: Path) -> None:
    other = own_run.rename(tmp_path / "other")
    runs = analysis.load([run_path, other])
    one = analysis.load(run_path)
    assert len(runs) == 2
    assert len(runs.trials) == 2 * len(one.trials)
    assert list(runs.trials.columns) == ["run", *one.trials.columns]
    for name in ("trials", "metrics", "ledger", "checkpoints", "events", "sessions"):
        both, single = getattr(runs, name), getattr(one, name)
        assert both.run.cat.categories.tolist() == ["line", "other"]
        assert both.drop(columns="run").dtypes.astype(str).to_dict() == single.dtypes.astype(str).to_dict()
    assert set(runs.best(2).run) == {"line", "other"}
    assert runs.best(2).value.nunique() == 1
    assert runs.pareto().number.nunique() == 1
    assert runs.curves().columns.nlevels == 2
    assert runs["other"].path == other
    with pytest.raises(analysis.RunError, match="there is no run 'third'; there are line, other"):
        runs["third"]
    with pytest.raises(analysis.RunError, match="found one twice"):
        analysis.load([run_path, run_path])
    with pytest.raises(analysis.RunError, match="at least one"):
        analysis.load([])


def test_runs_of_other_objectives_are_not_ranked_together(run_path: Path, tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.commit()
        runs = analysis.load([run_path, run.path])
        assert len(runs.trials) == len(analysis.load(run_path).trials) + 1
        with pytest.raises(analysis.RunError, match="have the same objectives"):
            runs.best()


def test_opening_a_run_loads_neither_mlx_nor_optuna(run_path: Path) -> None:
    heavy = {"mlx", "optuna", "matplotlib"}
    code = (
        f"import sys, analysis; analysis.load({str(run_path)!r}).trials; print({heavy} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
