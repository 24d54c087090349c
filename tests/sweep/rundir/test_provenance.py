from pathlib import Path

import pytest

from sweep.errors import RunDirError
from sweep.rundir.provenance import chip, entry_of, parse_provenance, versions, with_entry


def test_versions_name_what_computes() -> None:
    assert {"python", "mlx", "ray", "optuna"} <= versions().keys()


def test_the_chip_has_a_name() -> None:
    assert chip()


def test_sessions_add_up_and_one_written_twice_counts_once() -> None:
    first = with_entry(None, entry_of(1, task_hash="aa", hosts=["mac-1"]))
    second = with_entry(first, entry_of(2, task_hash="bb", hosts=["mac-1"]))
    again = with_entry(second, entry_of(2, task_hash="bb", hosts=["mac-1", "mac-2"]))
    assert [(each["session"], each["task_sha256"]) for each in again["sessions"]] == [(1, "aa"), (2, "bb")]
    assert again["hosts"] == ["mac-1", "mac-2"]


def test_what_the_task_reads_stands_with_its_session() -> None:
    first = with_entry(None, entry_of(1, task_hash="aa", hosts=[], reads={"c": {"sha256": "1"}}))
    second = with_entry(first, entry_of(2, task_hash="aa", hosts=[], reads={"c": {"sha256": "2"}}))
    assert [each["reads"]["c"]["sha256"] for each in second["sessions"]] == ["1", "2"]
    assert second["reads"] == {"c": {"sha256": "2"}}


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "provenance.json"
    with pytest.raises(RunDirError, match=r"provenance.json: .*move it away"):
        parse_provenance(path, content.encode("latin-1"))
