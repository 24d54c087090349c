import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runlog.segments import parts_of
from sweep.errors import RunDirError
from sweep.rundir.history import read_history
from sweep.rundir.naming import checked_name
from sweep.rundir.rundir import RunDir
from sweep.vocabulary.trial import Outcome, TrialState
from tests.run_dirs import (
    LENGTH,
    Clock,
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


def events(path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (path / "log.jsonl").read_bytes().splitlines()]


def trials(lines: bytes, event: str) -> set[int]:
    return {record["trial"] for record in map(json.loads, lines.splitlines()) if record["event"] == event}


def test_the_directory_is_laid_out_as_documented(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    run.write_study("name: study\n")
    run.write_provenance(task_hash="aa", hosts=["mac-1"])
    begin(run)
    complete(run, 0)
    store(run, 0, LENGTH.examples, b"weights", final=True)
    run.journal_path.write_bytes(b"")
    run.close("finished")
    (part,) = parts_of(run.path)
    assert part.range == (0, (run.path / "log.jsonl").stat().st_size)
    assert sorted(
        each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file()
    ) == [
        "study/checkpoints/trial-00000/replicate-0/examples-000000300.safetensors",
        "study/lock",
        "study/log.jsonl",
        f"study/metrics/{part.name}",
        "study/optuna.journal",
        "study/provenance.json",
        "study/study.yaml",
        "study/trials.parquet",
    ]
    assert events(run.path) == [
        "file",
        "file",
        "opened",
        "asked",
        *3 * ["report"],
        "told",
        "checkpoint",
        "closed",
    ]


def test_what_was_written_beside_the_log_reads_back(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        assert run.study_text is None
        assert run.provenance is None
        run.write_study("name: étude\n")
        run.write_provenance(task_hash="aa", hosts=["mac-1"])
        begin(run)
        run.commit()
    with open_run(tmp_path) as run:
        assert run.study_text == "name: étude\n"
        run.write_provenance(task_hash="bb", hosts=["mac-1"])
        assert run.provenance is not None
        assert [each["session"] for each in run.provenance["sessions"]] == [1, 2]


@pytest.mark.parametrize("damaged", [None, b"", b"{}"])
def test_without_its_files_a_run_is_what_the_log_says(tmp_path: Path, damaged: bytes | None) -> None:
    """Another study, or a changed task, was resumed as if it were the same one."""
    with open_run(tmp_path) as run:
        run.write_study("name: line\n")
        run.write_provenance(task_hash="aa", hosts=["mac-1"])
        begin(run)
        run.commit()
        before = run.provenance
    (tmp_path / "study" / "study.yaml").unlink()
    provenance = tmp_path / "study" / "provenance.json"
    provenance.unlink()
    if damaged is not None:
        provenance.write_bytes(damaged)
    with open_run(tmp_path) as run:
        assert run.study_text == "name: line\n"
        assert run.provenance == before
        run.write_provenance(task_hash="bb", hosts=[])
        assert run.provenance is not None
        assert [each["task_sha256"] for each in run.provenance["sessions"]] == ["aa", "bb"]


@pytest.mark.slow
def test_a_second_opener_is_told_who_writes(tmp_path: Path) -> None:
    with (
        open_run(tmp_path),
        pytest.raises(RunDirError, match=r"study: is open in this process already"),
    ):
        open_run(tmp_path)
    open_run(tmp_path).release()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../study", "a/b", "a\\b", "/tmp", ".hidden", "a\0b", "a\nb", " a", "C:", "x" * 121],
)
def test_a_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunDirError, match="name: must be one plain folder name"):
        RunDir.open(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["digits", "digits-2", "étude", "a b", "x" * 120, "1e-4"])
def test_ordinary_names_are_fine(name: str) -> None:
    assert checked_name(name) == name


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.tex").write_text("")
    with pytest.raises(RunDirError, match=r"is not a run directory, it holds thesis.tex"):
        open_run(tmp_path)
    assert [each.name for each in (tmp_path / "study").iterdir()] == ["thesis.tex"]


def test_a_lost_log_is_named(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.journal_path.write_bytes(b"trials")
    for state in ("empty", "missing"):
        if state == "missing":
            (tmp_path / "study" / "log.jsonl").unlink()
        with pytest.raises(RunDirError, match=rf"must hold log.jsonl .* it is {state}; put it back"):
            open_run(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(RunDirError, match=r"study: cannot be written: File exists"):
        open_run(tmp_path)


def test_a_newer_version_s_directory_is_refused_and_not_kept_locked(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
    log = tmp_path / "study" / "log.jsonl"
    rewrite(log, lambda line: line.replace(b'"format":2', b'"format":3'))
    for _ in range(2):
        with pytest.raises(RunDirError, match=r"format 3, this version reads up to 2: update"):
            open_run(tmp_path)


def test_a_report_counts_once_for_ever(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        first = report(0, 100)
        assert run.record_reports([first, report(0, 100, attempt=2)]) == [first]
        assert run.record_reports([report(0, 100, replicate=1)]) == [report(0, 100, replicate=1)]
        run.commit()
    with open_run(tmp_path) as run:
        again = [report(0, 100, attempt=2), report(0, 200, attempt=2)]
        assert run.record_reports(again) == again[1:]
        run.commit()
    assert read_history(tmp_path / "study").unfinished[0].reports == (
        first, report(0, 100, replicate=1), report(0, 200, attempt=2),
    )  # fmt: skip


def test_a_report_after_the_trial_s_end_is_dropped(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        assert run.record_reports([report(0, 400)]) == []
        run.commit()
    with open_run(tmp_path) as run:
        assert run.record_reports([report(0, 400)]) == []


def test_invariant_1_a_trial_is_asked_once_and_told_once_across_sessions(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        ask(run, 1)
        run.commit()
    with open_run(tmp_path) as run:
        with pytest.raises(ValueError, match="trial 0 was asked before"):
            ask(run, 0)
        with pytest.raises(ValueError, match="trial 1 was asked before"):
            ask(run, 1)
        with pytest.raises(ValueError, match="trial 0 ends but was told before"):
            run.record_outcome(outcome(0))
        with pytest.raises(ValueError, match="trial 2 ends but was never asked"):
            run.record_outcome(outcome(2))
        with pytest.raises(ValueError, match="trial 2 reports but was never asked"):
            run.record_reports([report(2, 100)])
        run.record_outcome(outcome(1))


def test_every_kind_of_record_is_written_whole(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.record_slot("mac-1/0", host="mac-1", chip="Apple M4 Max")
        run.record_lost("mac-1/0", host="mac-1", reason="the lid was closed")
        run.record_message("info", "going on elsewhere")
        complete(run, 0)
        store(run, 0, 300, b"weights", final=True)
        run.checkpoints.remove(run.checkpoints.kept[0].path)
        run.close("finished")
    assert read_history(run.path).damage == ()
    assert set(events(run.path)) == {
        "opened", "slot", "lost", "message", "asked", "report", "told", "checkpoint", "checkpoint_removed",
        "closed",
    }  # fmt: skip


def test_numbers_that_are_not_finite_survive(tmp_path: Path) -> None:
    nan, infinity = float("nan"), float("inf")
    with open_run(tmp_path) as run:
        begin(run)
        run.record_asked(plan(0), {**params(0), "clip": infinity})
        run.record_reports([report(0, 100, metrics={"loss": nan, "norm": infinity})])
        run.commit()
    unfinished = read_history(tmp_path / "study").unfinished[0]
    assert repr(unfinished.reports[0].metrics) == "{'loss': nan, 'norm': inf}"
    assert unfinished.params["clip"] == infinity


def test_a_damaged_line_is_named_in_the_log_once(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        run.commit()
    log = tmp_path / "study" / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[3] = b'{"event":"rep\0\0\0\0\n'
    log.write_bytes(b"".join(lines))
    for _ in range(2):
        with open_run(tmp_path) as run:
            assert [text[:50] for text in run.history.damage] == [
                "log.jsonl line 4 is damaged and was skipped: b'{\"e"
            ]
            assert run.history.told.keys() == {0, 1}
            run.commit()
    assert log.read_text().count("log.jsonl line 4 is damaged") == 1


@pytest.mark.slow
def test_invariant_9_whatever_byte_the_log_ends_at_each_whole_line_and_no_other_is_read(
    tmp_path: Path,
) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        ask(run, 1)
        run.record_reports([report(1, 100)])
        run.commit()
    whole = (tmp_path / "study" / "log.jsonl").read_bytes()
    tail = sum(map(len, whole.splitlines(keepends=True)[-3:]))
    for end in range(len(whole) - tail, len(whole) + 1):
        root = tmp_path / "cut"
        shutil.rmtree(root, ignore_errors=True)
        (root / "study").mkdir(parents=True)
        log = root / "study" / "log.jsonl"
        log.write_bytes(whole[:end])
        kept = whole[: whole[:end].rfind(b"\n") + 1]
        with open_run(root) as run:
            assert run.history.damage == ()
            assert run.history.told.keys() == trials(kept, "told")
            assert run.history.unfinished.keys() == trials(kept, "asked") - trials(kept, "told")
            assert log.read_bytes() == whole[:end]
            run.record_message("info", "on")
            run.commit()
        after = log.read_bytes()
        assert after.startswith(kept)
        assert after[len(kept) :].count(b"\n") == 1
        assert json.loads(after[len(kept) :])["text"] == "on"


def test_a_part_a_minute_is_derived_beside_the_writer(tmp_path: Path) -> None:
    clock = Clock()
    counts = []
    with open_run(tmp_path, clock) as run:
        begin(run)
        complete(run, *range(20))
        for number in range(20, 26):
            complete(run, number)
            run.commit()
            clock.now += 25
            run.maintain()
            if run._tables.refreshing is not None:
                run._tables.refreshing.result()
            counts.append(len(list((run.path / "metrics").iterdir())))
    assert counts == [0, 0, 1, 1, 1, 2]


def test_tables_that_cannot_be_derived_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RunDirError("metrics: the disk is full")

    clock = Clock()
    with open_run(tmp_path, clock) as run:
        begin(run)
        run.commit()
        monkeypatch.setattr("sweep.rundir.tables_thread.refresh_metrics", fail)
        clock.now += 60
        run.maintain()
        assert run._tables.refreshing is not None
        run._tables.refreshing.exception()
        run.maintain()
        run.commit()
    assert (
        "tables will be derived again later: metrics: the disk is full"
        in (run.path / "log.jsonl").read_text()
    )


def test_leaving_without_close_writes_nothing_more(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
        run.record_message("info", "never committed")
    assert events(run.path) == ["opened"]
    assert read_history(run.path).closed is None


def test_close_lets_go_even_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RunDirError("metrics: the disk is full")

    run = open_run(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("sweep.rundir.tables_thread.refresh_metrics", fail)
        with pytest.raises(RunDirError, match="the disk is full"):
            run.close("finished")
    run = open_run(tmp_path)
    assert run.history.closed == "finished"
    run.close("finished")


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, sweep.rundir.rundir, sweep.api.status, sweep.rundir.retention;"
        "print({'pyarrow', 'pandas', 'numpy', 'ray', 'optuna', 'mlx'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_failed_trial_has_its_reason(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.record_outcome(outcome(0, TrialState.FAIL))
        run.commit()
    assert read_history(run.path).told[0] == Outcome(
        0, TrialState.FAIL, None, "loss is nan", {"train_s": 2.0, "queue_s": 5.0, "host": "mac-1"}
    )
