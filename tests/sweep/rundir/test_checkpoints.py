from pathlib import Path

import pytest

from sweep.errors import CheckpointError
from sweep.rundir.checkpoints import read_chunks
from tests.run_dirs import ask, begin, complete, open_run, snapshot, store

PATH = "checkpoints/trial-00000/replicate-0/examples-000000100.safetensors"


def files(root: Path) -> list[str]:
    base = root / "study"
    return sorted(
        each.relative_to(base).as_posix() for each in base.glob("checkpoints/**/*") if each.is_file()
    )


def test_a_checkpoint_gets_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        with run.checkpoints.begin(snapshot(0, 100, b"weights")) as writer:
            writer.write(b"weig")
            (partial,) = files(tmp_path)
            assert partial.startswith(PATH)
            assert partial.endswith(".partial")
            writer.write(b"hts")
            stored = writer.commit()
        assert files(tmp_path) == [PATH]
        assert stored.path == PATH
        assert run.checkpoints.kept == [stored]
        assert b"".join(read_chunks(run.path, stored)) == b"weights"
        run.commit()
    with open_run(tmp_path) as run:
        assert run.checkpoints.kept == [stored]
        assert run.history.unfinished[0].checkpoints == {stored.run: stored}


def test_a_run_that_is_saved_twice_at_one_place_arrives_twice_at_once(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        with (
            run.checkpoints.begin(snapshot(0, 100, b"weights")) as one,
            run.checkpoints.begin(snapshot(0, 100, b"weights")) as other,
        ):
            for writer in (one, other):
                writer.write(b"weights")
            one.commit()
            stored = other.commit()
        assert files(tmp_path) == [PATH]
        assert run.checkpoints.kept == [stored]


@pytest.mark.parametrize("content", [b"weight", b"weights!", b"weighty"])
def test_what_did_not_arrive_as_sent_is_discarded(tmp_path: Path, content: bytes) -> None:
    with open_run(tmp_path) as run:
        with run.checkpoints.begin(snapshot(0, 100, b"weights")) as writer:
            writer.write(content)
            with pytest.raises(CheckpointError, match="must arrive as it was sent"):
                writer.commit()
        assert files(tmp_path) == []
        assert run.checkpoints.kept == []


def test_a_writer_that_is_left_without_commit_leaves_nothing(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        with run.checkpoints.begin(snapshot(0, 100, b"weights")) as writer:
            writer.write(b"wei")
        assert files(tmp_path) == []


def test_a_damaged_file_is_told_when_it_is_read(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        stored = store(run, 0, 100, b"weights")
        (run.path / stored.path).write_bytes(b"weighty")
        with pytest.raises(CheckpointError, match="must have the SHA-256 recorded"):
            list(read_chunks(run.path, stored))
        (run.path / stored.path).unlink()
        with pytest.raises(CheckpointError, match="cannot be read: No such file"):
            list(read_chunks(run.path, stored))


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    partial = tmp_path / "study" / (PATH + ".partial")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"wei")
    with open_run(tmp_path):
        assert files(tmp_path) == []


def test_a_checkpoint_whose_record_was_lost_is_taken_up(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        run.commit()
        stored = store(run, 0, 100, b"weights")  # killed before the next commit
    with open_run(tmp_path) as run:
        assert run.checkpoints.kept == [stored]
        run.commit()
    with open_run(tmp_path) as run:
        assert run.history.checkpoints == {PATH: stored}


def test_a_truncated_checkpoint_is_set_aside_and_named(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        ask(run, 0)
        stored = store(run, 0, 100, b"weights")
        run.commit()
    (tmp_path / "study" / stored.path).write_bytes(b"wei")
    with open_run(tmp_path) as run:
        assert run.history.unfinished[0].checkpoints == {}
        assert run.checkpoints.kept == []
        run.commit()
    assert files(tmp_path) == [PATH + ".damaged"]
    assert f"{PATH} is damaged and was set aside" in (tmp_path / "study" / "log.jsonl").read_text()


def test_removing_is_recorded_and_a_kill_in_between_harms_nothing(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        begin(run)
        complete(run, 0)
        stored = store(run, 0, 300, b"weights", final=True)
        run.commit()
        run.checkpoints.remove(stored.path)  # killed before the next commit
    with open_run(tmp_path) as run:
        assert run.checkpoints.kept == [stored], "a file goes once the log says so on disk, not before"
        run.checkpoints.remove(stored.path)
        run.commit()
    with open_run(tmp_path) as run:
        assert run.history.study.trials[0].state == "COMPLETE"
        assert run.checkpoints.kept == []


@pytest.mark.parametrize("path", ["../outside", "log.jsonl", "checkpoints/../log.jsonl", "/etc/hostname"])
def test_only_checkpoints_can_be_removed(tmp_path: Path, path: str) -> None:
    with open_run(tmp_path) as run, pytest.raises(CheckpointError, match="is no checkpoint of"):
        run.checkpoints.remove(path)
    assert (tmp_path / "study" / "log.jsonl").exists()
