"""`sweep verify`: what is damaged is named, what can be is rebuilt, nothing else is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import analysis
from sweep.api.keeping.verify import verify
from sweep.cli import app
from sweep.errors import RunDirError
from sweep.rundir.rundir import RunDir
from sweep.search.journal_check import read_journal
from tests.damage import source
from tests.damage.damages import files_of
from tests.run_dirs import rewrite


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source.make(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run_dir(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / made.name)


def one(run_dir: Path, pattern: str) -> str:
    """The first file of a pattern, relative to the run directory."""
    return sorted(run_dir.glob(pattern))[0].relative_to(run_dir).as_posix()


def flip(path: Path, at: float = 0.5) -> None:
    """Turn a bit; `at` is a share of the file."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(bytes(data))


def content(run_dir: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in files_of(run_dir)}


def test_a_sound_run_is_said_sound_file_by_file_and_not_touched(run_dir: Path) -> None:
    before = content(run_dir)
    done = CliRunner().invoke(app, ["verify", str(run_dir), "--repair"])
    assert done.exit_code == 0, done.output
    assert content(run_dir) == before
    said = {line.split()[1].rstrip(":") for line in done.output.splitlines() if line.startswith("sound ")}
    assert said == {str(path.relative_to(run_dir)) for path in before} - {"lock"}
    assert f"all {len(said)} files are sound" in done.output


DERIVED = ("metrics/*.parquet", "trials.parquet", "optuna.journal")
CHECKPOINT = "checkpoints/*/*/*"
WRITTEN = ("study.yaml", "provenance.json")
LOG = "log.jsonl"


@pytest.mark.parametrize("pattern", [*DERIVED, CHECKPOINT, *WRITTEN, LOG])
def test_each_damaged_file_is_named_and_ends_with_1(run_dir: Path, pattern: str) -> None:
    name = one(run_dir, pattern)
    flip(run_dir / name)
    done = CliRunner().invoke(app, ["verify", str(run_dir), "--json"])
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert {each["path"] for each in found["findings"] if not each["sound"]} == {name}
    said = verify(run_dir).as_text()
    assert f"DAMAGED  {name}: " in said
    advice = f"{name} cannot be rebuilt" if name == LOG else f"Run: python -m sweep verify {run_dir} --repair"
    assert advice in said.splitlines()[-1]


@pytest.mark.parametrize("pattern", [*DERIVED, CHECKPOINT])
def test_a_repair_makes_the_run_sound_again(run_dir: Path, pattern: str) -> None:
    before = analysis.load(run_dir)
    trials, metrics = before.trials, before.metrics
    journal = read_journal(run_dir / "optuna.journal").trials
    name = one(run_dir, pattern)
    flip(run_dir / name)
    found = verify(run_dir, repair=True)
    assert found.sound, found.as_text()
    assert found.repaired == (name,)
    after = analysis.load(run_dir)
    assert after.trials.equals(trials)
    assert after.metrics.equals(metrics)
    again = read_journal(run_dir / "optuna.journal").trials
    assert [(each.state, each.values, each.params) for each in again] == [
        (each.state, each.values, each.params) for each in journal
    ]
    assert [each.intermediate_values for each in again] == [each.intermediate_values for each in journal]
    assert verify(run_dir).sound


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("how", [flip, Path.unlink])
def test_the_log_holds_what_study_and_provenance_are_made_from(
    run_dir: Path, name: str, how: Callable[[Path], None]
) -> None:
    with RunDir.open(run_dir.parent, run_dir.name) as run:  # another session, and the study as it was
        text = run.study_text
        assert text is not None
        run.write_study(text)
        run.write_provenance(task_hash="aa", hosts=[])
        run.close("finished")
    before = (run_dir / name).read_bytes()
    how(run_dir / name)
    found = verify(run_dir, repair=True)
    assert found.sound, found.as_text()
    assert found.repaired == (name,)
    assert (run_dir / name).read_bytes() == before
    assert (run_dir / "log.jsonl").read_bytes().count(text.encode()[:9]) == 1, "the same text is held once"


@pytest.mark.parametrize("name", [LOG, *WRITTEN])
def test_what_cannot_be_rebuilt_stays_damaged_after_a_repair(run_dir: Path, name: str) -> None:
    """Format 1 recorded no content of study.yaml and provenance.json."""

    def as_before(line: bytes) -> bytes:
        record = json.loads(line)
        record.pop("content", None)
        return json.dumps(record, separators=(",", ":")).encode()

    rewrite(run_dir / LOG, as_before)
    for path in [*run_dir.glob("metrics/*"), run_dir / "trials.parquet", run_dir / "optuna.journal"]:
        path.unlink()  # they were made from the log as it was
    flip(run_dir / name)
    found = verify(run_dir, repair=True)
    assert name in {each.path for each in found.damaged}
    assert name not in found.repaired
    assert f"{name} cannot be rebuilt" in found.as_text().splitlines()[-1]


def test_a_checkpoint_that_is_not_there_is_said_and_taken_off_the_record(run_dir: Path) -> None:
    name = one(run_dir, CHECKPOINT)
    (run_dir / name).unlink()
    assert [(each.path, each.text) for each in verify(run_dir).damaged] == [(name, "is not there")]
    assert verify(run_dir, repair=True).sound


@pytest.mark.parametrize("name", ["study.yaml", "provenance.json", "optuna.journal"])
def test_a_file_that_is_not_there_is_said(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    assert [(each.path, each.text) for each in verify(run_dir).damaged] == [(name, "is not there")]


def test_a_log_that_was_cut_short_is_said(run_dir: Path) -> None:
    log = run_dir / "log.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-3]))
    assert "was cut short" in verify(run_dir).as_text()


def without(record: Callable[[bytes], bool], run_dir: Path) -> None:
    """Take a line out of the log, all others sealed anew."""
    rewrite(
        run_dir / "log.jsonl",
        lambda line: (
            b'{"event":"slot","time":1.0,"slot":"a","host":"b","chip":"c"}' if record(line) else line
        ),
    )


def test_a_journal_that_knows_more_than_the_log_is_said(run_dir: Path) -> None:
    for path in [*run_dir.glob("metrics/*"), run_dir / "trials.parquet"]:
        path.unlink()
    without(lambda line: line.startswith(b'{"event":"told"') and b'"trial":3,' in line, run_dir)
    damaged = verify(run_dir).damaged
    assert [each.path for each in damaged] == ["optuna.journal"]
    assert "trial 3 has ended, not so in the log" in damaged[0].text


def test_tables_of_another_log_are_said(run_dir: Path) -> None:
    rewrite(run_dir / "log.jsonl", lambda line: line.replace(b'"host":"', b'"host":"x'))
    paths = {each.path.partition("/")[0] for each in verify(run_dir).damaged}
    assert paths == {"metrics", "trials.parquet"}


@pytest.mark.slow
def test_a_repair_beside_a_writer_is_refused(run_dir: Path) -> None:
    flip(run_dir / "trials.parquet")
    with RunDir.open(run_dir.parent, run_dir.name):
        assert not verify(run_dir).sound
        with pytest.raises(RunDirError, match="is open in this process already"):
            verify(run_dir, repair=True)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert done.exit_code == 2
    with pytest.raises(RunDirError, match=r"it has no log\.jsonl"):
        verify(tmp_path)
