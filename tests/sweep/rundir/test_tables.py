from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runlog.reader import whole_bytes
from runlog.segments import Part, parts_of
from runlog.tables import read_metrics
from sweep.rundir.rundir import RunDir
from sweep.rundir.tables import covered_bytes, refresh_metrics, remove_damaged, write_trials
from tests.run_dirs import ask, begin, complete, open_run, plan, report


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    with open_run(tmp_path) as run:
        begin(run)
        yield run


def read(path: Path) -> pa.Table:
    def fail(text: object) -> None:
        raise AssertionError(text)

    return read_metrics(path, on_damage=fail, on_unreadable=fail)


def rows(path: Path) -> list[tuple[int, int]]:
    table = read(path)
    return list(zip(table["trial"].to_pylist(), table["examples"].to_pylist(), strict=True))


def expected(*numbers: int) -> list[tuple[int, int]]:
    return [(number, examples) for number in numbers for examples in (100, 200, 300)]


def add(run: RunDir, *numbers: int) -> int:
    for number in numbers:
        complete(run, number)
    run.commit()
    size = whole_bytes(run.path / "log.jsonl")
    refresh_metrics(run.path, stop=size)
    return size


def test_parts_and_tail_give_each_row_once_in_order(run: RunDir) -> None:
    size = add(run, 0)
    complete(run, 1)
    run.commit()
    assert covered_bytes(run.path) == size
    assert rows(run.path) == expected(0, 1)


def test_parts_merge_so_that_few_stand(run: RunDir) -> None:
    counts = []
    for number in range(17):
        add(run, number)
        counts.append(len(parts_of(run.path)))
    assert max(counts) <= 4
    assert rows(run.path) == expected(*range(17))


def test_compaction_leaves_one_part_with_everything(run: RunDir) -> None:
    add(run, *range(8))
    size = add(run, 8)
    assert len(parts_of(run.path)) == 2
    refresh_metrics(run.path, stop=size, compact=True)
    assert [tuple(part.range) for part in parts_of(run.path)] == [(0, size)]
    before = [each.stat().st_mtime_ns for each in (run.path / "metrics").iterdir()]
    refresh_metrics(run.path, stop=size, compact=True)
    assert [each.stat().st_mtime_ns for each in (run.path / "metrics").iterdir()] == before
    assert rows(run.path) == expected(*range(9))


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"nothing of the kind"])
def test_missing_and_damaged_parts_are_made_again_from_the_log(run: RunDir, damage: bytes) -> None:
    add(run, *range(16))
    add(run, *range(16, 20))
    size = add(run, 20)
    first, second, third = (run.path / "metrics" / part.name for part in parts_of(run.path))
    second.write_bytes(damage)
    third.unlink()
    refresh_metrics(run.path, stop=size, compact=True)
    assert not first.exists()
    assert rows(run.path) == expected(*range(21))
    assert [tuple(part.range) for part in parts_of(run.path)] == [(0, size)]


def test_a_damaged_part_is_named_by_the_reader_and_its_rows_come_from_the_log(run: RunDir) -> None:
    add(run, 0, 1)
    (part,) = (run.path / "metrics").iterdir()
    content = part.read_bytes()
    part.write_bytes(content[:40] + b"\0" * (len(content) - 80) + content[-40:])
    named: list[str] = []
    table = read_metrics(run.path, on_damage=lambda each: pytest.fail(str(each)), on_unreadable=named.append)
    assert table["trial"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert len(named) == 1
    assert named[0].startswith(part.name)


def test_ranges_of_another_log_are_none_of_this_one(run: RunDir) -> None:
    """A row that such a range ended in was lost by readers, and by the tables that are made again."""
    add(run, *range(16))
    add(run, 16, 17)
    first = parts_of(run.path)[0].range.stop
    log = run.path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    doubled = lines[30] + lines[30]
    log.write_bytes(b"".join([*lines[:30], doubled, *lines[31:]]))
    assert log.read_bytes()[first - 1 : first] != b"\n", "the ranges end within lines now"
    said: list[str] = []
    table = read_metrics(run.path, on_damage=lambda each: said.append(str(each)), on_unreadable=said.append)
    found = list(zip(table["trial"].to_pylist(), table["examples"].to_pylist(), strict=True))
    assert sorted(set(found)) == expected(*range(18))
    assert not [text for text in said if "is damaged and was skipped" in text]
    assert sum("was not made from this log" in text for text in said) == 2
    assert covered_bytes(run.path) == 0
    refresh_metrics(run.path, stop=whole_bytes(log), compact=True)
    table = read_metrics(run.path, on_damage=lambda each: None, on_unreadable=pytest.fail)
    found = list(zip(table["trial"].to_pylist(), table["examples"].to_pylist(), strict=True))
    assert sorted(set(found)) == expected(*range(18))
    assert len(list((run.path / "metrics").glob("*.damaged"))) == 2


def test_a_merge_that_was_killed_before_it_cleaned_up_doubles_nothing(run: RunDir) -> None:
    add(run, 0)
    kept = [(each, each.read_bytes()) for each in (run.path / "metrics").iterdir()]
    add(run, 1, 2)
    for path, content in kept:
        path.write_bytes(content)
    assert len(parts_of(run.path)) == 2
    assert rows(run.path) == expected(0, 1, 2)


def test_a_part_that_vanishes_while_it_is_read_is_looked_for_again(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(run, 0)
    listed = parts_of(run.path)
    add(run, 1, 2)
    stale = iter([listed])

    def parts(run_dir: Path) -> list[Part]:
        return next(stale, parts_of(run_dir))

    monkeypatch.setattr("runlog.tables.parts_of", parts)
    assert rows(run.path) == expected(0, 1, 2)
    assert next(stale, None) is None


def test_metrics_that_only_some_report_and_clashing_names(run: RunDir) -> None:
    ask(run, 0)
    run.record_reports([report(0, 100, metrics={"loss": 1.0})])
    run.commit()
    refresh_metrics(run.path, stop=whole_bytes(run.path / "log.jsonl"))
    run.record_reports([report(0, 200, metrics={"epoch": 9.0, "loss": float("nan")}, host="mac-2")])
    run.commit()
    table = read(run.path)
    assert table.column_names[-2:] == ["loss", "metric_epoch"]
    assert table["epoch"].to_pylist() == [1.0, 2.0]
    assert table["metric_epoch"].to_pylist() == [None, 9.0]
    assert repr(table["loss"].to_pylist()) == "[1.0, nan]"
    assert table["host"].to_pylist() == ["mac-1", "mac-2"]


def test_trials_parquet_has_optunas_columns_with_their_types(run: RunDir) -> None:
    complete(run, 0, 1)
    run.record_asked(plan(2), {"hidden": "wide", "learning_rate": 1})
    run.commit()
    write_trials(run.path)
    table = pq.read_table(run.path / "trials.parquet")
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    assert types["number"] == pa.int64()
    assert types["value"] == pa.float64()
    assert types["datetime_start"] == pa.timestamp("us", tz="UTC")
    assert types["duration"] == pa.duration("us")
    assert types["ledger_train_s"] == pa.float64()
    assert table["params_hidden"].to_pylist() == ["64", "64", '"wide"']
    assert table["params_momentum"].to_pylist() == [None, 0.5, None]
    assert table["state"].to_pylist() == ["COMPLETE", "COMPLETE", "RUNNING"]


def test_a_part_that_the_disk_cannot_read_is_made_again_from_the_log(run: RunDir) -> None:
    add(run, 0, 1)
    refresh_metrics(run.path, stop=whole_bytes(run.path / "log.jsonl"))
    (part,) = parts_of(run.path)
    path = run.path / "metrics" / part.name
    path.unlink()
    path.symlink_to(path)  # every read fails
    said: list[str] = []
    table = read_metrics(run.path, on_damage=lambda each: said.append(str(each)), on_unreadable=said.append)
    assert table.num_rows == 6
    assert "its rows come from the log" in said[0]
    assert remove_damaged(run.path) == [f"{part.name} is damaged and is made again from the log"]
    assert not path.is_symlink()
