"""Whole studies in this process while something goes wrong: tasks, disks, damaged files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import analysis
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from sweep.worker.footprint import footprint_bytes
from tests.run_dirs import rewrite
from tests.sweep.conftest import Folder
from tests.sweep.in_process import run, stop_after, table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("uncompiled")]


def messages(folder: Folder) -> str:
    lines = (folder.run_dir / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith('{"event":"message"')]
    return "\n".join(record["text"] for record in records)


def faulty(folder: Folder, fault: str, *more: tuple[str, str]) -> None:
    """A study some of whose trials have a fault."""
    folder.write(
        ("line.py:Line", "line.py:Faulty"),
        ("  accumulation_steps: {choices: [1, 2]}\n", f"  fault: {{choices: [none, {fault}]}}\n"),
        ("seed: 3", "seed: 1"),
        *more,
    )


def faults(folder: Folder) -> dict[int, str]:
    trials = analysis.load(folder.run_dir).trials
    return dict(zip(trials.number, trials.params_fault, strict=True))


@pytest.mark.parametrize("fault", ["raise", "measure"])
def test_a_task_that_raises_in_training_fails_those_trials_with_its_words_and_the_study_goes_on(
    folder: Folder, fault: str
) -> None:
    faulty(folder, fault, ("trials: 4", "trials: 6"))
    summary = run(folder)
    states = {number: state for number, (state, _) in table(folder).items()}
    ends = {fault: "FAIL", "none": "COMPLETE"}
    expected = {number: ends[fault] for number, fault in faults(folder).items()}
    assert states == expected
    assert set(expected.values()) == {"FAIL", "COMPLETE"}
    assert summary.counts["RUNNING"] == 0
    trials = analysis.load(folder.run_dir).trials
    said = {"raise": "this model cannot be built", "measure": "in Faulty.measure: RuntimeError: this model"}
    assert all(said[fault] in reason for reason in trials.reason.dropna())
    assert "diverged" not in trials


def test_a_task_that_eats_memory_fails_those_trials_as_out_of_memory_and_the_study_goes_on(
    folder: Folder,
) -> None:
    faulty(folder, "eat")
    limit_mb = footprint_bytes() // 1_000_000 + 600
    folder.study.write_text(folder.study.read_text() + f"worker: {{memory: {limit_mb} MB}}\n")
    run(folder)
    trials = analysis.load(folder.run_dir).trials
    failed = trials[trials.params_fault == "eat"]
    assert len(failed)
    assert set(failed.state) == {"FAIL"}
    assert all("that it may use" in reason for reason in failed.reason)
    assert set(trials[trials.params_fault == "none"].state) == {"COMPLETE"}


def test_lane_time_before_a_kill_counts_towards_the_time_out(folder: Folder) -> None:
    folder.write(("length: {epochs: 3}", "length: {epochs: 3}, timeout: 1h"))
    run(folder)
    log = folder.run_dir / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    cut = next(index for index, line in enumerate(lines) if line.startswith(b'{"event":"report"')) + 1
    log.write_bytes(b"".join(lines[:cut]))
    killed = json.loads(lines[cut - 1])
    assert killed["lane_s"] > 0
    spent = f'"lane_s":{killed["lane_s"]}'.encode()
    rewrite(log, lambda line: line.replace(spent, b'"lane_s":1e6'))
    (folder.run_dir / "optuna.journal").unlink()
    run(folder)
    trials = analysis.load(folder.run_dir).trials.set_index("number")
    assert "timed out" in trials.reason[killed["trial"]]
    assert (trials.state == "COMPLETE").sum() == 3


def test_a_checkpoint_that_is_ahead_of_the_log_is_not_gone_on_from(folder: Folder) -> None:
    """A power cut may take the log's end and leave the file: the reports in between must come again."""
    run(folder)
    before = table(folder)
    log = folder.run_dir / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    cut = next(index for index, line in enumerate(lines) if line.startswith('{"event":"report"')) + 1
    log.write_text("".join(lines[:cut]))
    (folder.run_dir / "optuna.journal").unlink()
    shutil.rmtree(folder.run_dir / "metrics")
    run(folder)
    assert table(folder) == before
    metrics = analysis.load(folder.run_dir).metrics
    assert list(metrics[metrics.trial == 0].examples) == [64, 128, 192]


def test_a_resumed_trials_ledger_holds_all_its_sessions(folder: Folder) -> None:
    """Fault 29: `show` said how many examples the last session saw."""
    run(folder)
    log = folder.run_dir / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    reports = [index for index, line in enumerate(lines) if line.startswith(b'{"event":"report"')]
    log.write_bytes(b"".join(lines[: reports[1] + 1]))
    (folder.run_dir / "optuna.journal").unlink()
    before = json.loads(lines[reports[1]])
    run(folder)
    trials = analysis.load(folder.run_dir).trials.set_index("number")
    assert list(trials.ledger_examples) == [192] * 4
    assert trials.ledger_train_s[before["trial"]] > before["lane_s"] > 0


def test_a_full_disk_ends_the_command_with_what_to_do_and_the_same_command_goes_on(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    write, left = os.write, 3000

    def fill(descriptor: int, data: memoryview) -> int:
        nonlocal left
        left -= len(data)
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr("sweep.rundir.log.os.write", fill)
        with pytest.raises(RunDirError, match=r"the disk is full .* run the same command to resume"):
            run(folder)
    assert run(folder).counts["COMPLETE"] == 4
    assert table(folder) == table(undisturbed)


def test_a_real_limit_on_files_ends_the_command_without_a_traceback(folder: Folder) -> None:
    code = (
        "import resource, sys\n"
        "from sweep.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))\n"
        "sys.argv = ['sweep', 'run', 'study.yaml']\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder.path,
        env=folder.environment()
        | {"PYTHONDONTWRITEBYTECODE": "1"},  # cut short, it would be read all the same
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr
    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert run(folder).counts["COMPLETE"] == 4


def test_a_worker_whose_disk_is_full_trains_on_without_snapshots(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sweep.worker.worker.train_core.save", refuse)
    assert run(folder).counts["COMPLETE"] == 4
    assert "was not saved" in messages(folder)
    assert analysis.load(folder.run_dir).checkpoints.empty


def damage(path: Path) -> None:
    """Other bytes, the same length."""
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)


@pytest.mark.parametrize("cut", [False, True], ids=["other bytes", "cut off"])
def test_a_damaged_checkpoint_is_named_and_set_aside_and_its_trial_begins_anew(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cut: bool
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    folder.study.write_text(folder.study.read_text() + "checkpoints: {every: 0.001s}\n")
    stop_after(folder, monkeypatch, "checkpoint", 2)
    checkpoints = [Path(path) for path in analysis.load(folder.run_dir).checkpoints.path]
    assert checkpoints
    for path in checkpoints:
        path.write_bytes(path.read_bytes()[:-5]) if cut else damage(path)
    run(folder)
    assert table(folder) == table(undisturbed)
    said = messages(folder)
    for path in checkpoints:
        assert f"{path.relative_to(folder.run_dir)} is damaged and was set aside" in said
        assert path.with_name(path.name + ".damaged").exists()


def optuna_states(folder: Folder) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(folder.run_dir / "optuna.journal")))
    return [trial.state.name for trial in optuna.load_study(study_name="line", storage=storage).trials]


@pytest.mark.parametrize("line", [0, 1, 5, 9])
def test_a_damaged_journal_is_set_aside_and_built_again_from_the_log(folder: Folder, line: int) -> None:
    run(folder)
    journal = folder.run_dir / "optuna.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[line] = b"\0" * (len(lines[line]) - 1) + b"\n"
    journal.write_bytes(b"".join(lines))
    folder.write(("trials: 4", "trials: 5"))
    run(folder)
    assert optuna_states(folder) == ["COMPLETE"] * 5
    assert "optuna.journal is damaged and was set aside" in messages(folder)
    assert journal.with_name("optuna.journal.damaged").exists()


@pytest.fixture
def unvouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill, which leaves no record of how the journal begins."""
    monkeypatch.setattr(RunDir, "check_journal", lambda self: None)


def test_a_journal_that_is_not_what_a_session_left_is_set_aside(folder: Folder) -> None:
    run(folder)
    before = optuna_states(folder)
    journal = folder.run_dir / "optuna.journal"
    journal.write_bytes(journal.read_bytes().replace(b'"intermediate_value":', b'"intermediate_value":1', 1))
    folder.write(("trials: 4", "trials: 5"))
    run(folder)
    assert optuna_states(folder) == [*before, "COMPLETE"]
    assert "optuna.journal is not what the log recorded" in messages(folder)


@pytest.mark.usefixtures("unvouched")
def test_a_journal_that_says_other_things_than_the_log_is_set_aside(folder: Folder) -> None:
    run(folder)
    before = optuna_states(folder)
    journal = folder.run_dir / "optuna.journal"
    whole = journal.read_bytes()
    at = whole.index(b'"learning_rate":0.') + len(b'"learning_rate":0.')
    journal.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    folder.write(("trials: 4", "trials: 5"))
    run(folder)
    assert optuna_states(folder) == [*before, "COMPLETE"]
    assert "in the log" in messages(folder)


@pytest.mark.usefixtures("unvouched")
@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_a_journal_that_ends_before_a_trials_last_parameter_is_completed_from_the_log(
    folder: Folder, lines: int
) -> None:
    """Of a sampler that is asked for one after another: each is a record of its own."""
    one_by_one = ("{name: random}", "{name: nsgaii}")
    folder.write(one_by_one)
    run(folder)
    expected = analysis.load(folder.run_dir).trials.params_learning_rate[0]
    journal = folder.run_dir / "optuna.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))
    folder.write(one_by_one, ("trials: 4", "trials: 5"))
    run(folder)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    trial = optuna.load_study(study_name="line", storage=storage).trials[0]
    assert trial.params["learning_rate"] == expected
    assert optuna_states(folder) == ["COMPLETE"] * 5


def test_damaged_provenance_is_set_aside_and_written_anew(folder: Folder) -> None:
    run(folder)
    path = folder.run_dir / "provenance.json"
    damage(path)
    path.write_bytes(b"{" + path.read_bytes())
    folder.write(("trials: 4", "trials: 5"))
    assert run(folder).counts["COMPLETE"] == 5
    assert json.loads(path.read_text())["session"] == 2
    assert path.with_name("provenance.json.damaged").exists()
    assert "provenance.json is damaged and was set aside" in messages(folder)


def test_a_damaged_study_file_of_the_run_is_refused_with_what_to_do(folder: Folder) -> None:
    run(folder)
    damage(folder.run_dir / "study.yaml")
    folder.write(("trials: 4", "trials: 5"))
    with pytest.raises(RunDirError, match=r"is damaged or was changed: .*move it away and run"):
        run(folder)
    (folder.run_dir / "study.yaml").unlink()
    assert run(folder).counts["COMPLETE"] == 5


def test_a_damaged_line_of_the_log_is_named_and_its_report_is_trained_again(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Folder(tmp_path_factory.mktemp("undisturbed"))
    run(undisturbed)
    stop_after(folder, monkeypatch, "report", 5)
    log = folder.run_dir / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    torn = max(index for index, line in enumerate(lines) if b'"event":"report"' in line)
    lines[torn] = lines[torn][:20] + b"\n"
    log.write_bytes(b"".join(lines))
    run(folder)
    with pytest.warns(analysis.RunWarning, match=f"line {torn + 1} is damaged"):
        assert table(folder) == table(undisturbed)
    assert f"line {torn + 1} is damaged" in messages(folder)
