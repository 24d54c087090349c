from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir.provenance import chip, read_provenance, source_hash, versions, with_session


def test_versions_name_what_computes() -> None:
    assert {"python", "mlx", "ray", "optuna"} <= versions().keys()


def test_the_chip_has_a_name() -> None:
    assert chip()


def test_sessions_add_up_and_one_written_twice_counts_once() -> None:
    first = with_session(None, session=1, task_hash="aa", hosts=["mac-1"])
    second = with_session(first, session=2, task_hash="bb", hosts=["mac-1"])
    again = with_session(second, session=2, task_hash="bb", hosts=["mac-1", "mac-2"])
    assert [(each["session"], each["task_sha256"]) for each in again["sessions"]] == [(1, "aa"), (2, "bb")]
    assert again["hosts"] == ["mac-1", "mac-2"]


def test_the_hash_follows_contents_and_names_but_not_folders(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "task.py", tmp_path / "b" / "task.py"
    for path in (one, other):
        path.parent.mkdir()
        path.write_text("x = 1\n")
    assert source_hash([one]) == source_hash([other])
    other.write_text("x = 2\n")
    assert source_hash([one]) != source_hash([other])


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "provenance.json"
    assert read_provenance(path) is None
    path.write_text(content, encoding="latin-1")
    with pytest.raises(RunDirError, match=r"provenance.json: .*move it away"):
        read_provenance(path)
