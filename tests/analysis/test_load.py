import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import analysis
from runlog.integrity import checksum
from runlog.integrity.chain import sum_before
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Outcome, TrialState
from tests.run_dirs import (
    START,
    Clock,
    accuracy,
    ask,
    begin,
    complete,
    open_run,
    outcome,
    plan,
    report,
    store,
)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Trials 0 and 1 COMPLETE, 2 RUNNING, 3 FAIL; one part, then a tail; two checkpoints kept."""
    clock = Clock(tick=0.25)
    with open_run(tmp_path, clock) as run:
        begin(run)
        complete(run, 0, 1)
        store(run, 0, 300, b"weights", final=True)
        run.checkpoints.remove(store(run, 1, 300, b"weights", final=True).path)
        run.commit()
        clock.now += 60
        run.maintain()
        assert run._tables.refreshing is not None
        run._tables.refreshing.result()
        ask(run, 2, 3)
        run.record_reports([report(2, 100), report(2, 100, replicate=1)])
        store(run, 2, 100, b"lighter")
        run.record_outcome(outcome(3, TrialState.FAIL))
        run.commit()
    return run.path


def test_trials_have_optunas_columns_and_types(run_dir: Path) -> None:
    trials = analysis.load(run_dir).trials
    assert list(trials.columns) == [
        "number", "value", "datetime_start", "datetime_complete", "duration", "params_learning_rate",
        "params_hidden", "params_optimizer", "params_momentum", "state", "reason", "ledger_train_s",
        "ledger_queue_s", "ledger_host",
    ]  # fmt: skip
    assert trials.state.tolist() == ["COMPLETE", "COMPLETE", "RUNNING", "FAIL"]
    assert trials.value.tolist()[:2] == [accuracy(0, 300), accuracy(1, 300)]
    assert trials.value.isna().tolist() == [False, False, True, True]
    assert trials.dtypes["number"] == "int64"
    assert trials.dtypes["value"] == "float64"
    assert str(trials.dtypes["datetime_start"]) == "datetime64[us, UTC]"
    assert str(trials.dtypes["duration"]) == "timedelta64[us]"
    assert trials.duration[0] > pd.Timedelta(0)
    assert trials.duration[2:].isna().tolist() == [True, False]
    assert trials.params_hidden.cat.categories.tolist() == [64, 128]
    assert trials.params_optimizer.cat.categories.tolist() == ["adamw", "sgd"]
    assert trials.dtypes["params_momentum"] == "float64"
    assert trials.reason[3] == "loss is nan"


def test_a_running_study_s_table_agrees_with_the_one_written_at_its_end(tmp_path: Path) -> None:
    run = open_run(tmp_path, Clock(tick=0.25))
    begin(run)
    complete(run, 0, 1)
    run.close("finished")
    live = analysis.load(run.path).trials
    written = pd.read_parquet(run.path / "trials.parquet")
    assert list(live.columns) == list(written.columns)
    pd.testing.assert_frame_equal(live, written, check_dtype=False, check_categorical=False)


def test_metrics_have_a_row_a_report_from_parts_and_tail(run_dir: Path) -> None:
    metrics = analysis.load(run_dir).metrics
    keys = metrics[["trial", "replicate", "examples"]].apply(tuple, axis=1).tolist()
    assert keys == [
        (0, 0, 100), (1, 0, 100), (0, 0, 200), (1, 0, 200), (0, 0, 300), (1, 0, 300),
        (2, 0, 100), (2, 1, 100),
    ]  # fmt: skip
    assert {name: str(dtype) for name, dtype in metrics.dtypes.items()} == {
        "trial": "int64", "replicate": "int64", "examples": "int64", "epoch": "float64", "updates": "int64",
        "attempt": "int64", "width": "int64", "lane": "int64", "host": "category",
        "time": "datetime64[us, UTC]", "loss": "float64", "accuracy": "float64",
    }  # fmt: skip
    assert metrics.time[0] == pd.Timestamp(START + 100, unit="s", tz="UTC")


def test_invariant_9_a_row_that_stands_twice_in_the_log_is_read_once(run_dir: Path) -> None:
    log = run_dir / "log.jsonl"
    (line,) = [
        each
        for each in log.read_bytes().splitlines(keepends=True)
        if b'"trial":1,"replicate":0,"examples":300' in each and b'"report"' in each
    ]
    again = checksum.unsealed(line[:-1]).replace(b'"attempt":1', b'"attempt":2') + b"\n"
    with log.open("ab") as file:
        file.write(checksum.seal(again, sum_before(log, log.stat().st_size) or checksum.START)[0])
    metrics = analysis.load(run_dir).metrics
    (attempt,) = metrics[(metrics.trial == 1) & (metrics.examples == 300)].attempt
    assert attempt == 1
    assert len(metrics) == 8


def test_the_objective_is_the_last_report_of_each_complete_trial(run_dir: Path) -> None:
    run = analysis.load(run_dir)
    complete_trials = run.trials[run.trials.state == "COMPLETE"].set_index("number")
    last = run.metrics.groupby("trial").accuracy.last()
    assert (complete_trials.value == last[complete_trials.index]).all()


def test_checkpoints_are_those_on_disk(run_dir: Path) -> None:
    checkpoints = analysis.load(run_dir).checkpoints
    assert checkpoints[["trial", "replicate", "examples", "bytes", "final"]].values.tolist() == [
        [0, 0, 300, 7, True],
        [2, 0, 100, 7, False],
    ]
    assert [Path(path).read_bytes() for path in checkpoints.path] == [b"weights", b"lighter"]
    assert str(checkpoints.dtypes["time"]) == "datetime64[us, UTC]"
    Path(checkpoints.path[0]).unlink()
    assert len(analysis.load(run_dir).checkpoints) == 1


def test_a_study_that_has_only_begun_has_empty_tables_with_their_columns(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
        found = analysis.load(run.path)
    assert (len(found.trials), len(found.metrics), len(found.checkpoints)) == (0, 0, 0)
    assert {"number", "value", "datetime_start", "state"} <= set(found.trials.columns)
    assert {"trial", "replicate", "examples", "time"} <= set(found.metrics.columns)
    assert found.objectives == [("accuracy", "maximize")]


def test_several_objectives(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.record_opened(objectives=[("loss", "minimize"), ("speed", "maximize")], choices={}, trials=None)
        ask(run, 0)
        run.record_outcome(Outcome(0, TrialState.COMPLETE, (0.5, 3.0)))
        run.commit()
        trials = analysis.load(run.path).trials
    assert trials[["values_loss", "values_speed"]].values.tolist() == [[0.5, 3.0]]


def test_integers_that_are_missing_in_places_stay_integers(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.record_asked(plan(0), {"layers": 3})
        run.record_asked(plan(1), {})
        run.commit()
        trials = analysis.load(run.path).trials
    assert trials.params_layers.dtype == "Int64"
    assert trials.params_layers.isna().tolist() == [False, True]


def test_damage_is_warned_of_and_all_the_rest_is_read(run_dir: Path) -> None:
    (part,) = (run_dir / "metrics").iterdir()
    part.write_bytes(b"PAR1")
    with (run_dir / "log.jsonl").open("ab") as file:
        file.write(b"rubbish\n")
    with pytest.warns(analysis.RunWarning) as warned:
        metrics = analysis.load(run_dir).metrics
    assert len(metrics) == 8
    texts = [str(each.message) for each in warned]
    assert any("is damaged and was skipped: b'rubbish'" in text for text in texts)
    assert any(f"{part.name} is damaged" in text for text in texts)


def test_what_is_no_run_directory_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(analysis.RunError, match=r"^.*missing: is no directory; give the path of a run"):
        analysis.load(tmp_path / "missing")
    with pytest.raises(analysis.RunError, match=r"is not a run directory, it has no log.jsonl"):
        analysis.load(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"event":"opened","time":1.0,"format":3}\n')
    with pytest.raises(analysis.RunError, match=r"format 3, this version reads up to 2: update") as error:
        analysis.load(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_analysis_knows_nothing_of_sweep() -> None:
    code = "import sys, analysis; print([name for name in sys.modules if name.split('.')[0] == 'sweep'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_reader_needs_no_lock(run_dir: Path) -> None:
    with RunDir.open(run_dir.parent, "study"):
        assert len(analysis.load(run_dir).trials) == 4
