"""Requests as files: whole or not there, whoever writes them, in the order in which they were asked."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.driver.steering import channel
from sweep.errors import RunDirError, SweepError
from tests.sweep.conftest import ROOT

WRITER = """
import sys
from pathlib import Path
from sweep.driver.steering.channel import submit
for number in range(25):
    submit(Path(sys.argv[1]), "prune", {"trial": number})
"""


def read(run_dir: Path) -> list[channel.Request]:
    return channel.pending(run_dir, lambda text: pytest.fail(text))


def test_what_is_asked_is_read_back_in_order_until_it_is_removed(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    asked = [channel.submit(tmp_path, "prune", {"trial": number}) for number in range(3)]
    assert read(tmp_path) == asked
    channel.remove(tmp_path, asked[0].id)
    channel.remove(tmp_path, asked[0].id)
    assert read(tmp_path) == asked[1:]
    assert channel.count(tmp_path) == 2


def test_a_request_of_another_user_can_be_read_whatever_their_umask_is(tmp_path: Path) -> None:
    """The folder and the request belong to those to whom the run belongs."""
    log = tmp_path / "log.jsonl"
    log.touch()
    log.chmod(0o664)
    tmp_path.chmod(0o2775)
    owner = 12345 if os.geteuid() == 0 else os.geteuid()
    for path in (tmp_path, log):
        os.chown(path, owner, -1)
    before = os.umask(0o077)
    try:
        asked = channel.submit(tmp_path, "prune", {"trial": 1})
    finally:
        os.umask(before)
    folder = tmp_path / "requests"
    for path, mode in ((folder, 0o2775), (folder / f"{asked.id}.json", 0o664)):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (mode, owner), path
    assert read(tmp_path) == [asked]


@pytest.mark.slow
def test_several_processes_write_at_once_and_none_is_lost(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = read(tmp_path)
    assert len({request.id for request in found}) == 75
    by_writer: dict[str, list[int]] = {}
    for request in found:
        by_writer.setdefault(request.id.split("-")[1], []).append(request.arguments["trial"])
    assert list(by_writer.values()) == [list(range(25))] * 3


def test_what_a_killed_writer_left_is_no_request(tmp_path: Path) -> None:
    whole = channel.submit(tmp_path, "pause", {})
    (tmp_path / "requests" / ".0001").write_bytes(channel.encoded(whole)[:20])
    assert read(tmp_path) == [whole]


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\0" * 50, b"not json", None])
def test_a_damaged_request_is_set_aside_and_the_others_are_read(tmp_path: Path, data: bytes | None) -> None:
    first = channel.submit(tmp_path, "pause", {})
    path = tmp_path / "requests" / "0000-0.json"
    path.write_bytes(channel.encoded(first).replace(b"pause", b"paule") if data is None else data)
    said: list[str] = []
    assert channel.pending(tmp_path, said.append) == [first]
    assert said == [
        "requests/0000-0.json is damaged and was set aside: it is not as it was written. Ask again"
    ]
    assert read(tmp_path) == [first]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\udcff", "it has bytes that are no text in UTF-8"),
        ("x" * (1 << 20), "it has more than 1,048,576 bytes. Shorten it"),
        (object(), "it cannot be written as JSON"),
    ],
)
def test_what_no_reader_would_take_is_not_asked(tmp_path: Path, text: object, why: str) -> None:
    with pytest.raises(SweepError, match=f"nothing was asked, {why}"):
        channel.submit(tmp_path, "note", {"text": text})
    assert channel.count(tmp_path) == 0


def test_one_who_may_not_write_there_is_told_whom_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(
        RunDirError, match=r"nothing was asked, .* may not write there\. Ask .* to, or run it"
    ):
        channel.submit(tmp_path, "pause", {})
    assert read(tmp_path) == []
