from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir.history import History, read_history
from sweep.vocabulary.trial import RunId
from tests.run_dirs import (
    START,
    ask,
    begin,
    complete,
    open_run,
    outcome,
    params,
    plan,
    report,
    rewrite,
    store,
)


def test_there_is_no_history_before_the_first_session(tmp_path: Path) -> None:
    assert read_history(tmp_path / "study") == History()


def test_history_is_what_was_recorded(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        ask(run, 2, 3)
        reports = [report(2, 100), report(2, 100, replicate=1), report(2, 200, attempt=3)]
        run.record_reports(reports)
        store(run, 2, 100, b"earlier")
        last = store(run, 2, 200, b"later")
        run.commit()
        history = read_history(run.path)
    assert history.told == {0: outcome(0), 1: outcome(1)}
    assert history.unfinished.keys() == {2, 3}
    trial = history.unfinished[2]
    assert trial.reports == tuple(reports)
    assert trial.attempt == 3
    assert (trial.params, trial.hyperparameters) == (params(2), plan(2).hyperparameters)
    assert (trial.seed, trial.asked) == (0, START)
    assert trial.checkpoints == {RunId(2, 0): last}
    assert (history.unfinished[3].reports, history.unfinished[3].attempt) == ((), 0)
    assert history.lane_s == 4.0
    assert [each.number for each in history.best(["maximize"])] == [1, 0]
    assert (history.sessions, history.closed) == (1, None)


def test_a_checkpoint_that_is_gone_is_not_offered(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        earlier = store(run, 0, 100, b"earlier")
        later = store(run, 0, 200, b"later")
        run.commit()
        (run.path / later.path).unlink()
        assert read_history(run.path).unfinished[0].checkpoints == {earlier.run: earlier}
        run.checkpoints.remove(earlier.path)
        run.commit()
        assert read_history(run.path).checkpoints == {}


def test_a_trial_whose_asking_is_damaged_is_not_live(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0, 1)
        run.record_reports([report(0, 100)])
        run.commit()
    log = run.path / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"trial":0,"params"', b'"trial":0,"pa'))
    history = read_history(run.path)
    assert history.unfinished.keys() == {1}
    assert len(history.damage) == 1


def test_a_newer_version_is_named(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
    log = run.path / "log.jsonl"
    rewrite(log, lambda line: line.replace(b'"format":2', b'"format":9'))
    with pytest.raises(RunDirError, match="format 9"):
        read_history(run.path)
