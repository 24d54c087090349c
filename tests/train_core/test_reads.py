"""Fingerprints of what a task reads: names, sizes and contents count, times do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from train_core import reads
from train_core.reads import Read, fingerprint


def test_a_folder_s_fingerprint_is_of_names_sizes_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert fingerprint(folder) is fingerprint(tmp_path / "nowhere") is None
    (folder / "train.jsonl").write_text("one")
    first = fingerprint(folder)
    os.utime(folder / "train.jsonl", (1, 1))
    assert fingerprint(folder) == first
    (folder / "train.jsonl").write_text("two")
    changed = fingerprint(folder)
    (folder / "train.jsonl").write_text("one")
    (folder / "train.jsonl").rename(folder / "valid.jsonl")
    assert len({first, changed, fingerprint(folder)}) == 3


@pytest.mark.parametrize("name", [".DS_Store", "._train.jsonl", "Icon\r"])
def test_what_finder_leaves_in_a_folder_changes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.jsonl").write_text("one")
    first = fingerprint(tmp_path)
    (tmp_path / name).write_text("its place on the screen")
    assert fingerprint(tmp_path) == first
    assert fingerprint(tmp_path / name) != first


def test_of_a_large_file_both_ends_and_the_size_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "END_BYTES", 4)
    found = []
    for text in ("abcd12345efgh", "xbcd12345efgh", "abcd12345efgx", "abcd1234efgh", "abcd54321efgh"):
        (tmp_path / "model").write_text(text)
        found.append(fingerprint(tmp_path / "model"))
    assert len(set(found[:4])) == 4
    assert found[4] == found[0]


def test_the_text_of_a_kept_file_is_recorded_and_nothing_of_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("rank: 8")
    given = {"config": Read(tmp_path / "config", kept=True), "adapter": Read(tmp_path / "adapter")}
    found = reads.recorded(given.items())
    assert found == {"config": {"sha256": fingerprint(tmp_path / "config"), "text": "rank: 8"}}
    assert reads.texts(found) == {"config": "rank: 8"}
