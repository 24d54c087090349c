import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.api.overview import workers
from sweep.api.status import Best, read_status
from sweep.errors import RunDirError
from sweep.vocabulary.trial import TrialState
from tests.run_dirs import START, accuracy, ask, begin, complete, open_run, outcome, params, report


def test_a_study_under_way(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        ask(run, 2, 3)
        run.record_reports([report(2, 100), report(2, 200)])
        run.record_outcome(outcome(3, TrialState.FAIL))
        run.record_message("warning", "mac-2 went to sleep")
        run.commit()
        status = read_status(run.path)
    assert status.name == "study"
    assert status.pid == os.getpid()
    assert status.trials == {"COMPLETE": 2, "FAIL": 1, "RUNNING": 1}
    assert status.budget_trials == 8
    assert status.objectives == (("accuracy", "maximize"),)
    assert status.best == Best(1, (accuracy(1, 300),), params(1))
    assert status.reports == 8
    assert status.last_report == START + 200
    assert status.started == START
    assert status.messages == ("mac-2 went to sleep",)
    assert (status.sessions, status.closed, status.damage) == (1, None, ())


def test_a_study_that_ended(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    begin(run)
    run.close("finished")
    status = read_status(run.path)
    assert (status.pid, status.closed, status.best, status.reports) == (None, "finished", None, 0)
    assert (status.last_report, status.reports_per_s) == (None, 0.0)


def test_a_study_that_has_not_begun(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        assert read_status(run.path).trials == {}


def test_reports_per_second_are_those_of_the_last_minute(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        times = [0.0, 1000.0, 1010.0, 1020.0, 1030.0]
        run.record_reports([report(0, 100 + index, time=time) for index, time in enumerate(times)])
        run.commit()
        assert read_status(run.path).reports_per_s == pytest.approx(0.1)


def test_reports_are_counted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, *range(20))
        run.commit()
        for block in range(1, 40):
            monkeypatch.setattr(workers, "_BLOCK_BYTES", block)
            assert workers.scan(run.path / "log.jsonl").reports == 60


def test_damage_is_named(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
        with (run.path / "log.jsonl").open("ab") as file:
            file.write(b'rubbish\n{"event":"report",rubbish\n{"event":"asked", torn')
        status = read_status(run.path)
    assert [text[:30] for text in status.damage] == [
        f"log.jsonl line {line} is damaged an" for line in (2, 3)
    ]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "it has no log.jsonl"),
        (Path.touch, "it is a file"),
        (Path.exists, "there is no such folder"),
    ],
)
def test_no_run_directory_is_one_line(tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    make(tmp_path / "study")
    with pytest.raises(RunDirError, match=f"study: is not a run directory: {why}"):
        read_status(tmp_path / "study")


def test_a_newer_version_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"event":"opened","time":1.0,"format":3}\n')
    with pytest.raises(RunDirError, match=r"format 3, this version reads up to 2: update"):
        read_status(tmp_path)
