"""A trial's folder, packed as its checkpoint and unpacked where it resumes."""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.errors import CheckpointError
from sweep.vocabulary.trial import Length, TrialPlan
from sweep.vocabulary.turn import Load
from sweep.worker.single.folder_contents import newest_s
from sweep.worker.single.saved_folder import SavedFolder

LOAD = Load(0, TrialPlan(3, 0, {}, (), Length(1, 1)), 0, 0)


@pytest.fixture
def saved(tmp_path: Path) -> SavedFolder:
    """The folder of a trial, with one file."""
    made = SavedFolder(LOAD, tmp_path / "trial")
    made.path.mkdir()
    (made.path / "kept").write_text("kept")
    return made


def resumed(saved: SavedFolder) -> Path:
    """The folder of the trial's next attempt."""
    archive = saved.path.with_name("packed")
    assert saved.pack(archive, 7) is not None
    again = SavedFolder(replace(LOAD, checkpoint=str(archive)), saved.path.with_name("again"))
    assert again.resumed == 7
    return again.path


def packed(path: Path, files: dict[str, bytes], **facts: str) -> Path:
    """An archive of these files and facts."""
    entries, offset = {}, 0
    for name, data in files.items():
        entries[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    metadata = {"kind": "sweep folder", "run": "0 3 0", "examples": "7", **facts}
    head = json.dumps({"__metadata__": metadata, **entries}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(files.values()))
    return path


def test_modes_links_and_empty_folders_come_back(saved: SavedFolder) -> None:
    folder = saved.path
    (folder / "bin").mkdir()
    for name, mode in (("bin/run", 0o755), ("bin/secret", 0o600), ("bin/fixed", 0o444)):
        (folder / name).write_text(name)
        (folder / name).chmod(mode)
    (folder / "empty" / "deep").mkdir(parents=True)
    (folder / "latest").symlink_to("bin")
    (folder / "bin" / "up").symlink_to("../kept")
    (folder / "whole").symlink_to(folder / "kept")
    (folder / "away").symlink_to(f"../{folder.name}/kept")
    (folder / "later").symlink_to("not-yet")
    again = resumed(saved)
    assert {name: (again / "bin" / name).stat().st_mode & 0o777 for name in ("run", "secret", "fixed")} == {
        "run": 0o755,
        "secret": 0o600,
        "fixed": 0o444,
    }
    links = ("latest", "bin/up", "whole", "away", "later")
    assert [os.readlink(again / name) for name in links] == ["bin", "../kept", "kept", "kept", "not-yet"]
    assert (again / "empty" / "deep").is_dir()
    assert (again / "latest" / "run").read_text() == "bin/run"


@pytest.mark.parametrize("ahead_s", [-1000.0, 1000.0])
def test_the_newest_is_the_newest_again(ahead_s: float, saved: SavedFolder) -> None:
    """Many programs resume from the newest file or folder; another machine's clock may be ahead."""
    now = time.time() + ahead_s
    for number, name in enumerate(("step-8", "step-9", "step-10")):
        (saved.path / name).mkdir()
        (saved.path / name / "weights").write_text(name)
        for path in (saved.path / name / "weights", saved.path / name):
            os.utime(path, (now + number, now + number))
    again = resumed(saved)
    for pattern in ("step-*", "step-*/weights"):
        names = sorted(again.glob(pattern), key=os.path.getmtime)
        assert [path.relative_to(again).parts[0] for path in names] == ["step-8", "step-9", "step-10"]
    assert newest_s(again) <= time.time()


@pytest.mark.parametrize("name", ["__metadata__", "beside", "kind", "a/__metadata__"])
def test_a_file_may_have_any_name(name: str, saved: SavedFolder) -> None:
    (saved.path / name).parent.mkdir(exist_ok=True)
    (saved.path / name).write_text("own")
    again = resumed(saved)
    assert (again / name).read_text() == "own"
    assert (again / "kept").read_text() == "kept"


def test_a_link_out_of_the_folder_is_a_line_and_a_file_there_is_copied(saved: SavedFolder) -> None:
    outside = saved.path.with_name("outside")
    outside.mkdir()
    (outside / "data").write_text("data")
    (saved.path / "data").symlink_to(outside / "data")
    (saved.path / "all").symlink_to("../outside")
    again = resumed(saved)
    assert not (again / "data").is_symlink()
    assert (again / "data").read_text() == "data"
    assert not os.path.lexists(again / "all")
    assert saved.take_notes() == [
        "trial 3: all is a link out of the trial's folder and is not kept. Copy what it leads to"
    ]
    assert saved.take_notes() == []


def test_a_changed_mode_is_something_new_and_an_empty_folder_alone_is_nothing(saved: SavedFolder) -> None:
    into = saved.path.with_name("packed")
    assert saved.pack(into, 1) is not None
    assert saved.pack(into, 2) is None
    (saved.path / "kept").chmod(0o700)
    assert saved.pack(into, 2) is not None
    (saved.path / "kept").unlink()
    (saved.path / "logs").mkdir()
    assert saved.pack(into, 3) is None


def test_a_folder_that_an_older_version_packed_is_read(tmp_path: Path) -> None:
    archive = packed(tmp_path / "old", {"a": b"1", "b/c": b"23"})
    found = SavedFolder(replace(LOAD, checkpoint=str(archive)), tmp_path / "trial")
    assert found.resumed == 7
    assert [(found.path / name).read_bytes() for name in ("a", "b/c")] == [b"1", b"23"]


@pytest.mark.parametrize("target", ["..", "/etc", "a/../../b"])
def test_no_link_of_an_archive_leads_out_of_the_folder(target: str, tmp_path: Path) -> None:
    archive = packed(tmp_path / "made", {"a": b"1"}, beside=json.dumps({"links": {"x": target}}))
    with pytest.raises(CheckpointError, match="x: leads out of the trial's folder"):
        SavedFolder(replace(LOAD, checkpoint=str(archive)), tmp_path / "trial")


def test_damaged_facts_are_a_line(tmp_path: Path) -> None:
    for beside in ("[]", "{", '{"links": {"x": 3}}'):
        archive = packed(tmp_path / "made", {"a": b"1"}, beside=beside)
        with pytest.raises(CheckpointError, match="is damaged"):
            SavedFolder(replace(LOAD, checkpoint=str(archive)), tmp_path / "trial")
