"""One way to tell a person each: `send` delivers a message, or raises NotSentError.

What is raised or shown holds no address: an address may be a secret.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from sweep.driver.notify.message import Message

if TYPE_CHECKING:
    import requests

ANSWER_S = 10.0
"""How long a server, or a program, may take."""

PRIORITIES: Mapping[str, str] = {"failure": "high", "silence": "high"}
TAGS: Mapping[str, str] = {
    "end": "checkered_flag", "failure": "warning", "best": "trophy", "silence": "hourglass", "test": "wave",
}  # fmt: skip
"""The emoji that ntfy shows beside a title."""


class NotSentError(Exception):
    """A message was not delivered; `again` where that may be different in a moment."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        super().__init__(why)
        self.again = again


class Channel(Protocol):
    """A way to tell a person."""

    name: str
    """What it is called in messages: nothing of it is secret."""

    def send(self, message: Message) -> None:
        """Deliver it. Raises NotSentError."""


class Webhook:
    """JSON posted to a URL."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._token = token
        self.name = f"webhook at {_place(url)}"

    def send(self, message: Message) -> None:
        body = json.dumps(message.as_json()).encode()
        _post(self._url, body, {"Content-Type": "application/json"}, self._token)


class Ntfy:
    """A message of ntfy, for phones."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._token = token
        self.name = f"ntfy at {_place(url)}"

    def send(self, message: Message) -> None:
        headers = {
            "Title": message.title,
            "Priority": PRIORITIES.get(message.event, "default"),
            "Tags": TAGS[message.event],
            "Content-Type": "text/plain; charset=utf-8",
        }
        _post(self._url, message.text.encode(), headers, self._token)


class Command:
    """A program with the message in its arguments and on its standard input."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder
        self.name = f"command {Path(arguments[0]).name}"

    def send(self, message: Message) -> None:
        def filled(argument: str) -> str:
            return re.sub(r"\{(title|text|event)\}", lambda found: getattr(message, found[1]), argument)

        _run([*map(filled, self._arguments)], self._folder, stdin=f"{message.text}\n")


class Macos:
    """A notification on this Mac's screen."""

    name = "macos"
    _SCRIPT = (
        "on run argv",
        "display notification (item 2 of argv) with title (item 1 of argv)",
        "end run",
    )

    def send(self, message: Message) -> None:
        if shutil.which("osascript") is None:
            raise NotSentError("osascript, which macOS has, is not there", again=False)
        script = [part for line in self._SCRIPT for part in ("-e", line)]
        _run(["osascript", *script, message.title, message.text], Path.home(), stdin="")


def _post(url: str, body: bytes, headers: Mapping[str, str], token: str | None) -> None:
    import requests  # a tenth of a second

    sent = {"User-Agent": "sweep-mlx", **headers}

    def authorized(asked: requests.PreparedRequest) -> requests.PreparedRequest:
        asked.headers["Authorization"] = f"Bearer {token}"
        return asked

    def post() -> int:
        with requests.post(
            url,
            data=body,
            headers=sent,
            # As a header alone it would give way to a user in the URL or in ~/.netrc.
            auth=None if token is None else authorized,
            timeout=ANSWER_S,
            allow_redirects=False,
            stream=True,
        ) as answer:
            return answer.status_code

    try:
        status = _within(ANSWER_S, post)
    except (requests.Timeout, TimeoutError) as error:
        raise NotSentError(f"did not answer within {ANSWER_S:.0f} s") from error
    except requests.exceptions.SSLError as error:
        raise NotSentError("has a certificate that does not hold", again=False) from error
    except requests.ConnectionError as error:
        raise NotSentError("cannot be reached") from error
    except (requests.RequestException, ValueError) as error:
        raise NotSentError(f"could not be asked: {type(error).__name__}", again=False) from error
    if 300 <= status < 400:
        raise NotSentError(f"answered {status}: it has moved. Write where to", again=False)
    if status >= 400:
        raise NotSentError(f"answered {status}", again=status == 429 or status >= 500)


def _within(seconds: float, ask: Callable[[], int]) -> int:
    """What is asked in a thread that may be left behind. Raises TimeoutError.

    A time-out of requests is for each piece of an answer, and a server may send them one by one for hours.
    """
    found: Future[int] = Future()

    def run() -> None:
        try:
            found.set_result(ask())
        except BaseException as error:  # raised again where it is awaited
            found.set_exception(error)

    Thread(target=run, name="notify post", daemon=True).start()
    return found.result(seconds)


def _run(arguments: Sequence[str], folder: Path, *, stdin: str) -> None:
    """Run a program that outlives no time-out; Ctrl-C in the study's terminal is not for it."""
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise NotSentError(f"cannot be started: {os.strerror(error.errno or 0)}", again=False) from error
    try:
        process.communicate(stdin.encode(), timeout=ANSWER_S)
    except subprocess.TimeoutExpired as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise NotSentError(f"did not end within {ANSWER_S:.0f} s", again=False) from error
    if process.returncode:
        raise NotSentError(f"ended with exit code {process.returncode}", again=False)


def _place(url: str) -> str:
    """The server of a URL: its path, its query and who asks may be secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
