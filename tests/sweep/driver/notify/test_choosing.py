"""What is wrong with a study file's `notify`, said with file, line and key; no secret is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from sweep.api import remote
from sweep.api.check import check
from sweep.driver.notify import choosing
from sweep.errors import SpecError
from sweep.spec.parse import parse
from sweep.spec.resolve import resolved_text, whole_text
from tests.sweep.conftest import STUDY

LINES = STUDY.count("\n")


def problems(notify: str) -> str:
    try:
        spec = parse(f"{STUDY}notify: {notify}\n", "study.yaml")
    except SpecError as error:
        return str(error)
    return "\n".join(map(str, choosing.problems(spec)))


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        (
            "[slack]",
            "notify[0]: must be macos, {webhook: URL}, {ntfy: TOPIC} or {command: [...]}, got `slack`",
        ),
        ("[{slack: here}]", "notify[0].slack: unknown key. Known here: macos, webhook, ntfy, command"),
        (
            "[{webhook: example.com/SECRET}]",
            "notify[0].webhook: is no URL that begins with https:// or http://",
        ),
        ("[{webhook: 'https://h:SECRET/'}]", "notify[0].webhook: is no URL. Write a URL, or where it stands"),
        ("['https://h/SECRET']", "got nothing"),
        (
            "[{webhook: {env: SWEEP_NOT_SET}}]",
            "the environment variable SWEEP_NOT_SET is not set. Run: export",
        ),
        (
            "[{webhook: {env: SWEEP_BAD}}]",
            "webhook: the environment variable SWEEP_BAD is no URL that begins",
        ),
        ("[{webhook: {url: SECRET}}]", "must be a URL, or where it stands: {env: NAME} or {keychain: NAME}"),
        ("[{ntfy: 'my topic SECRET'}]", "notify[0].ntfy: is no topic: letters, digits, `_` and `-`"),
        ("[{ntfy: 'https://ntfy.example.com/'}]", "is a URL without a topic"),
        ("[{ntfy: t, token: SECRET}]", "notify[0].token: must not stand in the file: write {env: NAME}"),
        ("[{ntfy: t, token: {env: SWEEP_LINES}}]", "SWEEP_LINES is no token: it holds spaces, line breaks"),
        ("[{command: 'curl https://h/SECRET'}]", "notify[0].command: must be a list. Write [PROGRAM,"),
        ("[{command: []}]", "notify[0].command: must not be empty"),
        ("[{command: [no-such-program]}]", "no-such-program is no program that can be run here"),
        (
            "[{ntfy: t, on: [ends]}]",
            "notify[0].on[0]: must be one of end, failure, best, silence, got `ends`",
        ),
        ("[{ntfy: t, webhook: 'http://h/SECRET'}]", "needs exactly one of macos, webhook, ntfy, command"),
        ("[{ntfy: t, every: 5}]", "notify[0].every: must be a duration above zero"),
        ("[macos]", "needs osascript, which macOS has"),
        ("[{webhook: {keychain: hook}}]", "the keychain is macOS's, and this machine has none (hook)"),
    ],
)
def test_what_is_wrong_gets_one_line_without_a_secret(
    notify: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_BAD", "SECRET")
    monkeypatch.setenv("SWEEP_LINES", "SECRET\nX: 1")
    monkeypatch.setenv("PATH", "/nowhere")
    found = problems(notify)
    if said == "got nothing":
        said = "must be macos, {webhook: URL}"
        assert found.endswith("Write {webhook: URL}")
    assert said in found
    assert f"study.yaml:{LINES + 1}: notify" in found
    assert "SECRET" not in found
    assert found.count("\n") == 0


def test_one_way_needs_no_list() -> None:
    assert problems("{ntfy: my-topic}") == ""
    assert "notify.webhook: the environment variable" in problems("{webhook: {env: SWEEP_NOT_SET}}")


def test_a_secret_comes_from_the_keychain(stand_in: Callable[[str, str], Path], tmp_path: Path) -> None:
    stand_in("security", f'echo "$@" > {tmp_path}/asked; [ "$3" = hook ] && echo https://hooks.example.com/S')
    spec = parse(f"{STUDY}notify: [{{webhook: {{keychain: hook}}}}]\n", "study.yaml")
    [(_, channel)] = choosing.channels(spec)
    assert channel.name == "webhook at hooks.example.com"
    assert (tmp_path / "asked").read_text() == "find-generic-password -s hook -w\n"
    assert "has no generic password of the service other" in problems("[{webhook: {keychain: other}}]")


def test_the_run_directory_s_copy_has_no_address_and_the_machine_that_drives_has() -> None:
    text = f"{STUDY}notify: [{{webhook: 'https://h/SECRET', on: end}}, {{ntfy: {{env: TOPIC}}}}]\n"
    spec = parse(text, "study.yaml")
    assert "notify" not in resolved_text(spec)
    again = parse(whole_text(spec), "study.yaml")
    assert again.notify == spec.notify
    assert again == spec


def test_a_machine_that_sends_the_study_to_its_head_needs_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse(f"{STUDY}notify: [{{webhook: {{env: SWEEP_NOT_SET}}}}]\n", "study.yaml")
    started: list[object] = []
    there: Any = SimpleNamespace(job=SimpleNamespace(is_running=lambda: False))
    monkeypatch.setattr(remote, "remote_study", lambda study: there)
    monkeypatch.setattr(remote, "_start", lambda found, runs, options: started.append(found))
    assert remote.detach(spec, runs=tmp_path) is there
    assert started == [there]
    looked = RuntimeError("files are looked for")
    monkeypatch.setattr("sweep.api.check.missing_files", Mock(side_effect=looked))
    with pytest.raises(SpecError, match="SWEEP_NOT_SET is not set"):
        check(spec)
    monkeypatch.setattr("sweep.api.check.is_elsewhere", lambda spec: True)
    with pytest.raises(RuntimeError, match=str(looked)):
        check(spec)


def test_two_ways_of_one_name_are_told_apart_and_addresses_in_the_file_are_noted() -> None:
    spec = parse(f"{STUDY}notify: [{{ntfy: one}}, {{ntfy: two}}, {{ntfy: three}}]\n", "study.yaml")
    names = [channel.name for _, channel in choosing.channels(spec)]
    assert names == ["ntfy at ntfy.sh", "ntfy at ntfy.sh (2)", "ntfy at ntfy.sh (3)"]
    [first, *_] = choosing.notes(spec)
    assert first.startswith("notify[0].ntfy stands in the study file")
