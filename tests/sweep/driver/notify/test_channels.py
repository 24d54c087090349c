"""Messages as they arrive: at a server, at a program, at the programs of macOS."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from sweep.driver.notify import channels
from sweep.driver.notify.channels import Command, Macos, NotSentError, Ntfy, Webhook
from sweep.driver.notify.message import Message
from tests.sweep.driver.notify.conftest import Server

MESSAGE = Message(
    "failure", "digits: stopped", 'It is "over"; `ls` $HOME ümlaut.', values={"study": "digits"}
)


def test_a_webhook_gets_json_that_slack_and_discord_read(server: Server) -> None:
    channel = Webhook(f"{server.url}/services/T000/SECRET", token="bearer")
    channel.send(MESSAGE)
    [(path, headers, _)] = server.got
    assert path == "/services/T000/SECRET"
    assert headers["Authorization"] == "Bearer bearer"
    [found] = server.messages
    assert found["text"] == found["content"] == f"digits: stopped. {MESSAGE.text}"
    assert (found["event"], found["study"]) == ("failure", "digits")
    assert "SECRET" not in channel.name


def test_ntfy_gets_a_title_a_priority_and_the_text(server: Server) -> None:
    channel = Ntfy(f"{server.url}/my-topic")
    channel.send(MESSAGE)
    [(path, headers, body)] = server.got
    assert (path, body) == ("/my-topic", MESSAGE.text)
    assert (headers["Title"], headers["Priority"], headers["Tags"]) == ("digits: stopped", "high", "warning")
    assert "my-topic" not in channel.name


@pytest.mark.parametrize(("status", "again"), [(404, False), (302, False), (429, True), (503, True)])
def test_a_server_that_refuses_is_said_by_its_answer(server: Server, status: int, again: bool) -> None:
    server.statuses = [status]
    with pytest.raises(NotSentError, match=f"answered {status}") as found:
        Webhook(f"{server.url}/SECRET").send(MESSAGE)
    assert found.value.again is again


def test_a_server_that_is_not_there_or_slow_is_said_without_its_url(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/SECRET"
        with pytest.raises(NotSentError) as found:
            Webhook(url).send(MESSAGE)
    assert str(found.value) == "cannot be reached"
    monkeypatch.setattr(channels, "ANSWER_S", 0.1)
    server.answers.clear()
    with pytest.raises(NotSentError, match="did not answer within"):
        Webhook(f"{server.url}/SECRET").send(MESSAGE)


def test_a_server_that_answers_byte_by_byte_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                for byte in b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * 100 + b"\r\n\r\n":
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)  # each within the time-out, all together not

        answering = Thread(target=answer)
        answering.start()
        with pytest.raises(NotSentError, match="did not answer within"):
            Webhook(f"http://127.0.0.1:{listening.getsockname()[1]}/SECRET").send(MESSAGE)
        answering.join()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A company's network may have no other way out."""
    for each in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, server.url)
    Webhook("http://hooks.example/services/a").send(MESSAGE)
    Ntfy("http://ntfy.example/topic").send(MESSAGE)
    asked = [path for path, _, _ in server.got]
    assert asked == ["http://hooks.example/services/a", "http://ntfy.example/topic"]


def test_a_token_counts_more_than_a_user_in_the_url_or_in_netrc(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Webhook(f"{server.url}/a", token="bearer").send(MESSAGE)
    Webhook(f"{server.url}/b".replace("://", "://me:other@"), token="bearer").send(MESSAGE)
    assert [headers["Authorization"] for _, headers, _ in server.got] == ["Bearer bearer"] * 2


def test_a_command_gets_the_message_as_arguments_and_on_its_standard_input(tmp_path: Path) -> None:
    program = "import sys; open('got', 'w').write('|'.join([*sys.argv[1:], sys.stdin.read()]))"
    Command([sys.executable, "-c", program, "{event}: {title}", "{text}", "{other}"], tmp_path).send(MESSAGE)
    text = MESSAGE.text
    assert (tmp_path / "got").read_text() == f"failure: digits: stopped|{text}|{{other}}|{text}\n"
    Command([sys.executable, "-c", program, "{title} {text}"], tmp_path).send(
        Message("end", "{text}", "{event}")
    )
    assert (tmp_path / "got").read_text() == "{text} {event}|{event}\n"


def test_a_command_that_fails_hangs_or_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments, said in (
        (["sh", "-c", "exit 3"], "exit code 3"),
        (["no-such-program"], "cannot be started"),
    ):
        with pytest.raises(NotSentError, match=said):
            Command(arguments, tmp_path).send(MESSAGE)
    monkeypatch.setattr(channels, "ANSWER_S", 0.1)
    with pytest.raises(NotSentError, match="did not end within"):
        Command(["sh", "-c", "sleep 60 & wait"], tmp_path).send(MESSAGE)


def test_macos_shows_the_text_as_it_is(stand_in: Callable[[str, str], Path], tmp_path: Path) -> None:
    """The text is no part of the script: quotes in it end nothing."""
    stand_in("osascript", f'for each in "$@"; do printf "%s\\n" "$each" >> {tmp_path}/shown; done')
    Macos().send(MESSAGE)
    shown = (tmp_path / "shown").read_text().splitlines()
    assert shown[-2:] == [MESSAGE.title, MESSAGE.text]
    assert shown[:2] == ["-e", "on run argv"]
    assert MESSAGE.text not in shown[:-2]
