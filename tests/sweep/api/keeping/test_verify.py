"""`sweep verify`: what is damaged is named, what can be is rebuilt, nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import analysis
from sweep.api.keeping.verify import verify
from sweep.cli import app
from sweep.errors import RunDirError, UnreadableCheckpointError
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


def test_what_tables_hold_beyond_a_log_that_was_cut_short_is_kept_by_a_repair(run_dir: Path) -> None:
    """They were deleted, and all files were said to be sound."""
    log, trials, part = (run_dir / one(run_dir, each) for each in (LOG, "trials.parquet", "metrics/*"))
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:40]))
    kept = {path: path.read_bytes() for path in (trials, part)}
    said = verify(run_dir).as_text().splitlines()[-1]
    assert f"{LOG} cannot be rebuilt: restore it from a copy, if there is one. Run: " in said
    found = verify(run_dir, repair=True)
    assert not found.sound
    assert LOG in found.lost
    assert LOG not in found.repaired
    assert f"{LOG} cannot be rebuilt" in found.as_text().splitlines()[-1]
    assert {path: path.with_name(path.name + ".damaged").read_bytes() for path in kept} == kept
    assert "metrics/" in "".join(text for text in (log.read_text().splitlines()) if "set aside" in text)
    assert verify(run_dir).sound


def test_an_empty_log_is_no_case_for_a_repair(run_dir: Path) -> None:
    """All else was made again from nothing."""
    (run_dir / LOG).write_bytes(b"")
    before = content(run_dir)
    assert verify(run_dir).as_text().endswith("restore it from a copy, if there is one")
    with pytest.raises(RunDirError, match=r"it is empty; put it back"):
        verify(run_dir, repair=True)
    assert content(run_dir) == before


@pytest.mark.parametrize(
    ("mark", "end"), [(b"", b"\r\n"), (b"\xef\xbb\xbf", b"\n"), (b"\xef\xbb\xbf", b"\r\n")]
)
def test_files_converted_as_text_are_said_once_and_converted_back(
    run_dir: Path, mark: bytes, end: bytes
) -> None:
    """Each line of such a log was damaged, and the study began anew."""
    names = (LOG, "study.yaml", "provenance.json", "optuna.journal")
    before = {name: (run_dir / name).read_bytes() for name in names}
    for name, data in before.items():
        (run_dir / name).write_bytes(mark + data.replace(b"\n", end))
    for verb in (["verify"], ["status"]):
        done = CliRunner().invoke(app, [*verb, str(run_dir)])
        assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
        assert f"{LOG}: was converted as text" in done.output
        assert f"Convert it back: python -m sweep verify {run_dir} --repair" in done.output
    with pytest.raises(RunDirError, match="was converted as text"):
        RunDir.open(run_dir.parent, run_dir.name)
    with pytest.warns(analysis.RunWarning, match="was converted as text"):
        assert len(analysis.load(run_dir).trials) == 12
    found = verify(run_dir, repair=True)
    assert found.sound, found.as_text()
    assert found.repaired == names
    assert (run_dir / LOG).read_bytes().startswith(before[LOG])
    assert {name: (run_dir / name).read_bytes() for name in WRITTEN} == {
        name: before[name] for name in WRITTEN
    }


@pytest.mark.parametrize("pattern", [*DERIVED, CHECKPOINT, *WRITTEN])
def test_a_folder_where_a_file_belongs_is_said_and_set_aside(run_dir: Path, pattern: str) -> None:
    """It was a traceback, or stood in the way of the repair and of the study."""
    name = one(run_dir, pattern)
    (run_dir / name).unlink()
    (run_dir / name).mkdir()
    (run_dir / name / "kept").touch()
    (damaged,) = verify(run_dir).damaged
    assert damaged.path == name
    assert "Is a directory" in damaged.text
    assert str(run_dir / name) not in damaged.text
    found = verify(run_dir, repair=True)
    assert found.sound, found.as_text()
    assert [path.parent.name for path in run_dir.rglob("kept")] == [Path(name).name + ".damaged"]


@pytest.mark.parametrize("name", [LOG, "metrics", "checkpoints"])
@pytest.mark.parametrize("linked", [True, False])
def test_what_stands_where_the_log_or_a_folder_belongs_is_said(
    run_dir: Path, name: str, linked: bool
) -> None:
    path = run_dir / name
    path.rename(run_dir.parent / "elsewhere")
    if linked:
        path.symlink_to("/Volumes/Runs/here")
    elif name == LOG:
        path.mkdir()
    else:
        path.touch()
    said = "is a link to /Volumes/Runs/here, which is not there" if linked else "is no f"
    done = CliRunner().invoke(app, ["verify", str(run_dir)])
    assert done.exit_code == (2 if name == LOG else 1)
    assert f"{name}: {said}" in done.output
    assert "--repair" not in done.output
    with pytest.raises(RunDirError, match=f"{name}: {said}"):
        RunDir.open(run_dir.parent, run_dir.name)


def test_what_is_no_checkpoint_does_not_stand_in_the_way(run_dir: Path) -> None:
    """A link to what is not there ended every command; a folder ended verify in a traceback."""
    name = one(run_dir, CHECKPOINT)
    (run_dir / name).unlink()
    (run_dir / name).symlink_to("/Volumes/Runs/here")
    (run_dir / "checkpoints/trial-00007/replicate-0/examples-000000080.safetensors").mkdir(parents=True)
    assert [(each.path, each.text) for each in verify(run_dir).damaged] == [(name, "is not there")]
    assert verify(run_dir, repair=True).sound


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Take a file's permissions away, from root too."""
    really_open, really_access = Path.open, os.access

    def forbid(path: Path) -> None:
        def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
            if self == path:
                raise PermissionError(13, "Permission denied", str(path))
            return really_open(self, *arguments, **options)

        monkeypatch.setattr(Path, "open", refuse)
        monkeypatch.setattr(os, "access", lambda place, mode: place != path and really_access(place, mode))

    return forbid


def test_a_checkpoint_that_may_not_be_read_stays_where_it_is(
    run_dir: Path, forbidden: Callable[[Path], None]
) -> None:
    """It was set aside, and taken off the record."""
    name = one(run_dir, CHECKPOINT)
    forbidden(run_dir / name)
    (damaged,) = verify(run_dir).damaged
    assert (damaged.path, damaged.by_hand) == (name, True)
    assert damaged.text == "cannot be read: Permission denied. Make it readable, or move it away"
    found = verify(run_dir, repair=True)
    assert (found.repaired, found.sound) == ((), False)
    assert found.as_text().endswith(f"First see to {name}, as said above")
    with RunDir.open(run_dir.parent, run_dir.name) as run:
        number = int(name.split("/")[1].removeprefix("trial-"))
        with pytest.raises(UnreadableCheckpointError, match="Make it readable"):
            run.checkpoints.sound(number)
    assert (run_dir / name).exists()


@pytest.mark.parametrize("name", ["metrics", "checkpoints"])
def test_a_folder_that_may_not_be_read_is_said(
    run_dir: Path, forbidden: Callable[[Path], None], name: str
) -> None:
    forbidden(run_dir / name)
    assert [(each.path, each.text) for each in verify(run_dir).damaged] == [
        (name, "may not be read. Make it readable")
    ]
    with pytest.raises(RunDirError, match=f"{name}: may not be read"):
        RunDir.open(run_dir.parent, run_dir.name)


def test_copies_that_sync_tools_make_are_named_and_count_as_no_file(run_dir: Path) -> None:
    sound = verify(run_dir)
    made = ["log (Anna's conflicted copy 2026-11-29).jsonl", "study 2.yaml"]
    made.append("optuna.sync-conflict-20261129-101500-ABCDEFG.journal")
    for pattern in ("metrics/*", CHECKPOINT):
        path = Path(one(run_dir, pattern))
        made.append(str(path.with_name(f"{path.stem} 2{path.suffix}")))
    for name in made:
        (run_dir / name).write_bytes(b"")
    found = verify(run_dir)
    assert found.sound
    assert [each.path for each in found.findings if not each.is_read] == sorted(made)
    assert f"unread   {sorted(made)[0]}: a copy, such as sync tools make" in found.as_text()
    assert found.as_text().splitlines()[-1] == sound.as_text().splitlines()[-1]


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
