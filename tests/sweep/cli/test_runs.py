"""Verbs on run directories: whole, empty, of a newer version, being written, damaged."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sweep.api.exporting.tables import encode
from sweep.api.pages.ui import open_storage, serve
from sweep.cli import app
from sweep.errors import SweepError
from sweep.vocabulary.trial import TrialState
from tests.run_dirs import accuracy, ask, begin, complete, open_run, outcome, report, store


def sweep(*arguments: object, code: int = 0, says: str | None = None) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments], input=says)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Trials 0 and 1 complete with checkpoints, 2 failed, 3 running."""
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0, 1)
        ask(run, 2, 3)
        run.record_outcome(outcome(2, TrialState.FAIL))
        run.record_reports([report(3, 100)])
        for number in (0, 1):
            store(run, number, 300, b"weights", final=True)
        store(run, 3, 100, b"half way")
        run.commit()
        return run.path


def damage(run_dir: Path) -> None:
    with (run_dir / "log.jsonl").open("ab") as file:
        file.write(b"rubbish\n")


def newer(root: Path) -> Path:
    root.mkdir()
    (root / "log.jsonl").write_text('{"event":"opened","time":1.0,"format":3}\n')
    return root


def test_list_shows_each_run_readable_or_not(run_dir: Path) -> None:
    root = run_dir.parent
    newer(root / "newer")
    (root / "empty").mkdir()
    (root / "foreign").mkdir()
    (root / "foreign" / "notes.txt").write_text("not a run")
    (root / "away").mkdir()
    (root / "away" / "log.jsonl").symlink_to("/Volumes/Runs/away/log.jsonl")
    (root / "lost").mkdir()
    (root / "lost" / "optuna.journal").touch()
    damage(run_dir)
    lines = sweep("list", "--runs", root).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "away", "empty", "lost", "newer", "study"]
    assert "is a link to /Volumes/Runs/away/log.jsonl, which is not there" in lines[1]
    assert "it has no log.jsonl" in lines[2]
    assert "it has no log.jsonl" in lines[3]
    assert "format 3, this version reads up to 2" in lines[4]
    assert "3/8" in lines[5]
    assert f"{accuracy(1, 300):.6g}" in lines[5]
    assert "damage found: 1" in lines[5]
    found = json.loads(sweep("list", "--runs", root, "--json").stdout)
    assert [each["status"] is None for each in found] == [True, True, True, True, False]


def test_list_of_a_run_that_is_written(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        run.commit()
        assert "running, process" in sweep("list", "--runs", tmp_path).stdout
    assert "no runs yet" in sweep("list", "--runs", tmp_path / "study" / "metrics").stdout
    assert "there is no such folder" in sweep("list", "--runs", tmp_path / "none", code=2).stderr


def test_show_says_all_of_a_trial(run_dir: Path) -> None:
    said = sweep("show", run_dir, 1).stdout
    assert "study, trial 1: complete, accuracy 0.99" in said
    assert "rank 1 of 2" in said
    assert "proposed: learning_rate=0.05 hidden=64 optimizer=sgd momentum=0.5" in said
    assert "fixed: warmup_fraction=0.1" in said
    assert "examples-000000300.safetensors" in said
    assert [line.split()[0] for line in said.splitlines()[-3:]] == ["100", "200", "300"]
    assert "reason: loss is nan" in sweep("show", run_dir, 2).stdout
    found = json.loads(sweep("show", run_dir, 3, "--json").stdout)
    assert found["trial"]["state"] == "RUNNING"
    assert [each["examples"] for each in found["reports"]] == [100]
    assert "trials 0 to 3 exist" in sweep("show", run_dir, 9, code=2).stderr


def test_compare_puts_runs_side_by_side(run_dir: Path, tmp_path: Path) -> None:
    with open_run(tmp_path / "other") as run:
        begin(run)
        complete(run, 0)
        run.commit()
    said = sweep("compare", run_dir, run.path)
    rows = {line.split("  ")[0].strip(): line for line in said.stdout.splitlines()}
    assert rows["complete"].split() == ["complete", "2", "1"]
    assert "(trial 1)" in rows["best"]
    assert rows["best of first 1"].count("(trial 0)") == 2
    assert "study.yaml: cannot be compared" in said.stderr
    found = json.loads(sweep("compare", run_dir, run.path, "--json").stdout)
    assert [side["trials"] for side in found["runs"]][1] == {"COMPLETE": 1}
    assert "needs two runs or more" in sweep("compare", run_dir, code=2).stderr


def test_compare_names_what_differs_in_the_studies(run_dir: Path, tmp_path: Path) -> None:
    with open_run(tmp_path / "other") as run:
        begin(run)
        run.commit()
    study = (Path(__file__).parents[3] / "examples" / "digits" / "study.yaml").read_text()
    (run_dir / "study.yaml").write_text(study)
    (run.path / "study.yaml").write_text(study.replace("seed: 0 ", "seed: 7 "))
    assert f"{run.path}: seed: 7, {run_dir} has 0" in sweep("compare", run_dir, run.path).stdout


@pytest.mark.parametrize("verb", ["status", "show", "compare", "export", "rm", "ui", "report", "extend"])
def test_a_newer_version_and_no_run_at_all_are_one_line(verb: str, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for run in (newer(tmp_path / "newer"), tmp_path / "none"):
        given: dict[str, list[object]] = {
            "show": [0], "compare": [run], "extend": ["--length", "40 epochs"]
        }  # fmt: skip
        more = given.get(verb, [])
        result = sweep(verb, run, *more, code=2)
        assert not result.stdout
        assert len(result.stderr.splitlines()) == 1
        assert str(run) in result.stderr


def test_export_in_each_format(run_dir: Path, tmp_path: Path) -> None:
    text = sweep("export", run_dir).stdout
    trials = pd.read_csv(io.StringIO(text))
    assert list(trials.number) == [0, 1, 2, 3]
    records = json.loads(sweep("export", run_dir, "--format", "json").stdout)
    assert records[1]["value"] == accuracy(1, 300)
    assert records[3]["value"] is None
    to = tmp_path / "metrics.parquet"
    said = sweep("export", run_dir, "--format", "parquet", "--table", "metrics", "--to", to).stdout
    assert str(to) in said
    assert len(pd.read_parquet(to)) == 7
    assert "cannot be written" in sweep("export", run_dir, "--to", tmp_path, code=2).stderr


def test_an_infinite_number_is_exported_as_a_word_and_a_missing_one_as_null() -> None:
    """Fault 10: both were null."""
    frame = pd.DataFrame({"value": [float("inf"), float("-inf"), float("nan"), 0.1 + 0.2]})
    rows = json.loads(encode(frame, "json"))
    assert [row["value"] for row in rows] == ["Infinity", "-Infinity", None, 0.1 + 0.2]


def test_export_says_what_is_damaged_and_gives_the_rest(run_dir: Path) -> None:
    damage(run_dir)
    result = sweep("export", run_dir)
    assert len(pd.read_csv(io.StringIO(result.stdout))) == 4
    assert "is damaged and was skipped" in result.stderr
    assert "is damaged and was skipped" in sweep("show", run_dir, 0).stdout


def files(run_dir: Path) -> list[str]:
    return sorted(path.parts[-3] for path in run_dir.glob("checkpoints/*/*/*.safetensors"))


def test_rm_keeps_the_best_and_what_has_not_ended(run_dir: Path) -> None:
    assert "Pass --yes" in sweep("rm", run_dir, code=2).stderr
    assert len(files(run_dir)) == 3
    said = sweep("rm", run_dir, "--yes").stdout
    assert "1 checkpoints of trial 0, 7 B; 2 stay" in said
    assert files(run_dir) == ["trial-00001", "trial-00003"]
    sweep("rm", run_dir, "--keep-best", 0, "--yes")
    assert files(run_dir) == ["trial-00003"]
    assert "nothing to delete; 1 checkpoints stay" in sweep("rm", run_dir, "--keep-best", 0).stdout
    refused = sweep("rm", run_dir, "--trial", 3, "--yes", code=2).stderr
    assert "it has not ended and resumes from its checkpoint" in refused
    with open_run(run_dir.parent) as run:
        assert [each.trial for each in run.checkpoints.kept] == [3]


@pytest.mark.slow
def test_rm_is_refused_while_the_study_runs(run_dir: Path) -> None:
    with open_run(run_dir.parent):
        assert "is open in this process already" in sweep("rm", run_dir, "--yes", code=2).stderr
    assert len(files(run_dir)) == 3


@pytest.mark.slow
def test_the_dashboard_reads_and_never_writes(tmp_path: Path) -> None:
    from sweep.search.journal import Journal

    journal = Journal(tmp_path / "optuna.journal")
    study = journal.create_new_study([2], "line")  # type: ignore[list-item]
    journal.commit()
    addresses: list[str] = []

    def listening(address: str) -> None:
        addresses.append(address)
        with urllib.request.urlopen(f"{address}api/studies") as answer:
            assert [each["study_name"] for each in json.load(answer)["study_summaries"]] == ["line"]
        before = (tmp_path / "optuna.journal").read_bytes()
        delete = urllib.request.Request(f"{address}api/studies/{study}", method="DELETE")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(delete)
        journal.create_new_trial(study)  # the writer goes on meanwhile
        journal.commit()
        assert (tmp_path / "optuna.journal").read_bytes().startswith(before)
        assert len(open_storage(tmp_path).get_all_trials(study)) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(tmp_path, host="127.0.0.1", port=0, on_ready=listening)
    journal.close()
    assert addresses
    assert not list(tmp_path.glob("*.lock"))


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "optuna.journal").touch()

    def taken(address: str) -> None:
        port = int(address.rstrip("/").rpartition(":")[2])
        with pytest.raises(SweepError, match="the page cannot be served there"):
            serve(tmp_path, host="127.0.0.1", port=port, on_ready=lambda address: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(tmp_path, host="127.0.0.1", port=0, on_ready=taken)


@pytest.mark.slow
def test_a_report_is_one_file_in_the_run_directory(run_dir: Path) -> None:
    said = sweep("report", run_dir).output
    page = run_dir / "report.html"
    assert said.strip().splitlines()[-1] == str(page)
    assert "<html" in page.read_text("utf-8")
    with open_run(run_dir.parent):
        pass  # it is ours, so the study goes on


def test_a_report_of_no_run_is_a_line(tmp_path: Path) -> None:
    assert "is no directory" in sweep("report", tmp_path / "nothing", code=2).output


def test_a_report_without_what_draws_it_names_what_to_install(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.api.pages.report.NEEDED", ("no_such_package",))
    assert "a report needs no_such_package: pip install" in sweep("report", run_dir, code=2).output


READERS: list[list[object]] = [
    ["status"], ["show", 1], ["compare"], ["export"], ["export", "--format", "json"], ["report"],
    ["rm", "--yes"],
]  # fmt: skip


def spoil(run_dir: Path) -> None:
    """Leave nothing whole but most lines of the log."""
    damage(run_dir)
    for path in [*run_dir.glob("metrics/*"), *run_dir.glob("*.parquet"), run_dir / "provenance.json"]:
        path.write_bytes(b"rubbish\n")
    (run_dir / "study.yaml").write_text("rubbish: :")
    (run_dir / "optuna.journal").write_bytes(b"rubbish\n")
    with (run_dir / "log.jsonl").open("ab") as log:
        log.write(b'{"event":"told","tri')


@pytest.mark.slow
@pytest.mark.parametrize("verb", READERS, ids=lambda verb: " ".join(map(str, verb)))
def test_each_verb_shows_what_can_be_read_of_a_damaged_run(verb: list[object], run_dir: Path) -> None:
    spoil(run_dir)
    other = [run_dir] if verb[0] == "compare" else []
    result = sweep(verb[0], run_dir, *other, *verb[1:])
    assert result.stdout
    if verb[0] not in ("report", "rm"):
        assert str(accuracy(1, 300))[:7] in result.stdout
    if verb[0] == "report":
        assert "is damaged and was skipped" in Path(result.stdout.strip()).read_text()
    assert "Errno" not in result.output


def test_a_study_is_not_extended_from_a_study_file_that_cannot_be_read(run_dir: Path) -> None:
    spoil(run_dir)
    result = sweep("extend", run_dir, "--length", "40 epochs", code=2)
    assert f"{run_dir / 'study.yaml'}:1: " in result.stderr


@pytest.mark.parametrize("verb", READERS[:-1], ids=lambda verb: " ".join(map(str, verb)))
@pytest.mark.parametrize("log", [b"", b'{"event":"opened","ti'], ids=["empty", "torn"])
@pytest.mark.slow
def test_a_run_that_has_only_just_begun_is_no_error(verb: list[object], log: bytes, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(log)
    if verb[0] == "show":
        assert "no trial 1 (none exists yet)" in sweep("show", tmp_path, 1, code=2).stderr
        return
    other = [tmp_path] if verb[0] == "compare" else []
    result = sweep(verb[0], tmp_path, *other, *verb[1:])
    assert "Errno" not in result.output


@pytest.mark.slow
@pytest.mark.parametrize("verb", READERS[:-1], ids=lambda verb: " ".join(map(str, verb)))
def test_each_verb_reads_a_run_that_is_written(verb: list[object], run_dir: Path) -> None:
    with open_run(run_dir.parent) as run:
        ask(run, 4)
        run.write()
        other = [run_dir] if verb[0] == "compare" else []
        assert sweep(verb[0], run_dir, *other, *verb[1:]).stdout
