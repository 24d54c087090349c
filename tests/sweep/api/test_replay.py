"""Trials trained again from their record: equal, or the first difference is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sweep as verbs
from runlog.integrity import checksum
from runlog.reader import read_batches
from sweep.errors import RunDirError, SweepError
from sweep.rundir.rundir import RunDir
from tests.sweep.conftest import Folder
from tests.sweep.in_process import Killed, kill_at, run, sweep

pytestmark = pytest.mark.usefixtures("uncompiled")

IN_ORDER = (
    "{name: random}\n",
    "{name: tpe, n_startup_trials: 2}\npruner: {name: hyperband, reduction_factor: 2}\norder: {lag: 3}\n",
)


def with_log_changed(run_dir: Path, old: str, new: str) -> None:
    """The log with one thing changed, and checksums that are right."""
    path, previous, lines = run_dir / "log.jsonl", checksum.START, []
    whole = b"".join(checksum.unsealed(line) + b"\n" for line in path.read_bytes().splitlines())
    assert old in whole.decode()
    for line in whole.decode().replace(old, new, 1).encode().splitlines(keepends=True):
        sealed, previous = checksum.seal(line, previous)
        lines.append(sealed)
    path.write_bytes(b"".join(lines))


def test_a_killed_study_in_a_fixed_order_is_replayed_whole(folder: Folder) -> None:
    folder.write(IN_ORDER, ("trials: 4", "trials: 6"), ("lanes: 1", "lanes: 2"))
    for call in (4, 9):
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, RunDir, "record_reports", call, after=True)
            with pytest.raises(Killed):
                run(folder)
    run(folder)
    found = verbs.replay(folder.run_dir)
    assert found.is_equal, found.difference
    assert [each.trial for each in found.trials] == list(range(6))
    assert "equal" in {each.weights for each in found.trials}
    assert found.proposals == "equal"


@pytest.fixture
def ran(folder: Folder) -> Folder:
    folder.write()
    run(folder)
    return folder


def test_one_trial_is_compared_alone(ran: Folder) -> None:
    said: list[str] = []
    found = verbs.replay(ran.run_dir, 2, say=said.append)
    assert found.is_equal
    assert found.proposals is None
    assert said[-1].startswith("trial 2: 3 reports")
    assert [each.trial for each in verbs.replay(ran.run_dir, trials=2).trials] == [0, 2]


def test_the_first_difference_is_named_and_the_exit_code_says_it(ran: Folder) -> None:
    records = [
        record
        for batch in read_batches(ran.run_dir / "log.jsonl", on_damage=lambda each: None)
        for record in batch
        if record["event"] == "report" and record["trial"] == 1
    ]
    value = records[1]["metrics"]["validation_loss"]
    with_log_changed(ran.run_dir, repr(value), "0.25")
    ended = sweep(ran, "replay", "runs/line")
    assert ended.exit_code == 1
    assert (
        f"the first difference: trial 1, replicate 0, 128 examples: validation_loss was 0.25, is {value}"
        in ended.stdout
    )
    as_json = json.loads(sweep(ran, "replay", "runs/line", "1", "--json").stdout)
    assert as_json["equal"] is False
    assert as_json["difference"]["examples"] == 128


def test_a_changed_task_is_refused_unless_accepted(ran: Folder) -> None:
    task = ran.path / "line.py"
    task.write_text(task.read_text() + "\n# changed\n")
    with pytest.raises(RunDirError, match=r"the source of task line.py:Line changed since the run"):
        verbs.replay(ran.run_dir, 0)
    assert verbs.replay(ran.run_dir, 0, accept_changed_task=True).is_equal


def test_a_trial_that_there_is_not_is_said(ran: Folder) -> None:
    with pytest.raises(SweepError, match=r"no trial 9 \(trials 0 to 3 exist\)"):
        verbs.replay(ran.run_dir, 9)


def test_runs_are_compared_to_the_first_difference(
    ran: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Folder(tmp_path_factory.mktemp("other"))
    run(other)
    found = verbs.compare([ran.run_dir, other.run_dir])
    assert found.first == (None,)
    assert (
        "equal: the same trials, ends and reports as"
        in sweep(ran, "compare", "runs/line", str(other.run_dir)).stdout
    )
    with_log_changed(other.run_dir, '"state":"COMPLETE"', '"state":"PRUNED"')
    (difference,) = verbs.compare([ran.run_dir, other.run_dir]).first
    assert difference is not None
    assert difference.what == "its state"
