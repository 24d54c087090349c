"""Run directories that are newer, empty, being written or damaged: said in a line, the rest is shown."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import analysis
from tests.run_dirs import ask, begin, complete, open_run, rewrite


@contextmanager
def said(*parts: str) -> Iterator[None]:
    """The block warns exactly so often, each time in one line that holds the part."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(each.message) for each in caught]
    assert all(each.category is analysis.RunWarning for each in caught)
    assert len(texts) == len(parts), texts
    for text, part in zip(texts, parts, strict=True):
        assert part in text
        assert "\n" not in text


def whole(run_dir: Path) -> analysis.Run:
    """The run as it is now, its tables read."""
    run = analysis.load(run_dir)
    assert len(run.trials) == 14
    assert len(run.metrics) > 14
    return run


def newer(log: Path) -> None:
    rewrite(log, lambda line: line.replace(b'"format":2', b'"format":3'))


def test_a_newer_version_s_tables_are_shown(own_run: Path) -> None:
    before = whole(own_run)
    newer(own_run / "log.jsonl")
    with said("format 3, this version reads up to 2: update sweep-mlx; shown is what its Parquet files hold"):
        run = analysis.load(own_run)
    assert run.trials.number.tolist() == before.trials.number.tolist()
    assert run.trials.dtypes["params_optimizer"] == "category"
    assert len(run.metrics) == len(before.metrics)
    assert run.objectives == before.objectives
    assert run.best(3).number.tolist() == before.best(3).number.tolist()
    assert run.ledger.train.tolist() == before.ledger.train.tolist()
    assert len(run.events) == len(run.checkpoints) == len(run.sessions) == 0


def test_a_newer_session_after_older_ones_ends_what_is_read(own_run: Path) -> None:
    before = whole(own_run)
    with (own_run / "log.jsonl").open("ab") as log:
        log.write(b'{"event":"opened","time":1.0,"format":3}\n{"event":"other","time":1.0}\n')
    with said("format 3, this version reads up to 2: update sweep-mlx; shown is what came before"):
        run = analysis.load(own_run)
        assert len(run.trials) == len(before.trials)
    with said("format 3, this version reads up to 2: update sweep-mlx; shown is what its Parquet files hold"):
        assert len(run.metrics) == len(before.metrics)


def test_an_empty_log_leaves_the_tables_too(own_run: Path) -> None:
    before = whole(own_run)
    (own_run / "log.jsonl").write_bytes(b"")
    with said("has lost its log.jsonl; shown is what its Parquet files hold"):
        assert len(analysis.load(own_run).trials) == len(before.trials)


def test_a_lost_log_leaves_the_tables(own_run: Path) -> None:
    before = whole(own_run)
    (own_run / "log.jsonl").unlink()
    with said("has lost its log.jsonl; shown is what its Parquet files hold"):
        run = analysis.load(own_run)
    assert len(run.trials) == len(before.trials)
    assert len(run.metrics) == len(before.metrics)
    (own_run / "trials.parquet").write_bytes(b"PAR1")
    (part,) = (own_run / "metrics").iterdir()
    part.write_bytes(b"PAR1")
    with said("has lost its"):
        run = analysis.load(own_run)
    with pytest.raises(analysis.RunError, match=r"trials.parquet: is damaged .* and there is no log"):
        _ = run.trials
    with said(f"{part.name} is damaged"):
        assert run.metrics.empty


def test_a_log_lost_before_the_end_leaves_metrics(own_run: Path) -> None:
    (own_run / "log.jsonl").unlink()
    (own_run / "trials.parquet").unlink()
    with said("has lost its log.jsonl", "trials.parquet: is missing: the study did not finish"):
        run = analysis.load(own_run)
        assert run.trials.empty
    assert not run.metrics.empty


def test_an_empty_log_has_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").touch()
    run = analysis.load(tmp_path)
    for name in ("trials", "metrics", "ledger", "checkpoints", "events", "sessions"):
        assert len(getattr(run, name)) == 0
    with said("study.yaml: is not there"):
        assert run.best().empty
    assert run.pareto().empty


def test_a_run_being_written_shows_what_came_so_far(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        ask(run, 1)
        run.commit()
        with (run.path / "log.jsonl").open("ab") as log:
            log.write(b'{"event":"told","time":17000')
        found = analysis.load(run.path)
        assert found.trials.state.tolist() == ["COMPLETE", "RUNNING"]
        assert found.best().number.tolist() == [0]
        assert found.ledger.train.isna().tolist() == [False, True]
        assert found.sessions.closed.isna().all()


@pytest.mark.parametrize("text", ["{", "[]", "\x00", "name: [", ""])
def test_damaged_files_beside_the_log_are_said_and_passed_over(own_run: Path, text: str) -> None:
    for name in ("study.yaml", "provenance.json"):
        (own_run / name).write_text(text)
    run = analysis.load(own_run)
    with said("study.yaml: "):
        assert run.study_file.space == {}
    with said("provenance.json: "):
        assert run.provenance == {}
    assert len(run.trials) == 14
    assert set(run.importance().columns) == {"importance", "low", "high", "chance"}
    with pytest.raises(analysis.RunError, match=r"without its study.yaml"):
        run.study_file.with_point({}, {})
