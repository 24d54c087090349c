"""The broker of this machine: one of the drivers that share hosts it, the next one when that ends.

A lock says which process hosts; a file beside it, which only this user can read, where it answers and with
which key. So studies of one user share, and no other user's program can speak for them.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from typing import Any, NamedTuple

from sweep.errors import RunDirError
from sweep.executors.sharing.broker import Broker
from sweep.executors.sharing.messages import BrokerError
from sweep.rundir.disk import disk_errors
from sweep.rundir.lock import OwnProcess, WriterLock, holder

LOCK, ADDRESS = "broker.lock", "broker.json"

ANSWERS_WITHIN_S = 2.0
"""How long a broker in another process may take; one that is suspended never answers."""


def folder() -> Path:
    """Where the broker's files are: of this user, on this machine; SWEEP_CACHE names another place."""
    place = os.environ.get("SWEEP_CACHE")
    return (Path(place) if place else Path.home() / ".sweep") / f"broker-{socket.gethostname()}"


class Address(NamedTuple):
    """Where a broker answers, to those that know the key."""

    pid: int
    port: int
    key: str


class LocalLine:
    """The way to this machine's broker. Where none is there and it `hosts`, it becomes one."""

    def __init__(self, place: Path | None = None, *, hosts: bool = True) -> None:
        self._folder = folder() if place is None else place
        self._hosts = hosts
        self._host: Host | None = None
        self._socket: socket.socket | None = None

    def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask whichever process hosts. Raises BrokerError where none answers."""
        try:
            if self._socket is None:
                self._socket = self._connect()
            return self._ask(self._socket, json.dumps(said))
        except (OSError, ValueError) as error:
            self._hang_up()
            raise BrokerError(f"the broker of this machine does not answer: {error}") from error

    def close(self) -> None:
        """Hang up; a broker that is hosted here ends, and another driver hosts the next."""
        self._hang_up()
        if self._host is not None:
            self._host.close()
            self._host = None

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        address = self._address()
        if address is None and self._hosts:
            self._host_one()
            address = self._address()
        if address is None:
            raise BrokerError("there is no broker on this machine")
        found = socket.create_connection(("127.0.0.1", address.port), timeout=ANSWERS_WITHIN_S)
        found.sendall(f"{address.key}\n".encode())
        return found

    def _address(self) -> Address | None:
        """Of the process that holds the lock; None where none does."""
        with suppress(OSError, ValueError, TypeError):
            found = Address(**json.loads((self._folder / ADDRESS).read_text("ascii")))
            if holder(self._folder / LOCK) == found.pid:
                return found
        return None

    def _host_one(self) -> None:
        """Host the broker, unless another process has just begun to. Raises BrokerError."""
        if self._host is not None:
            self._host.close()
        try:
            self._host = Host(self._folder)
        except RunDirError as error:
            raise BrokerError(str(error)) from error

    def _ask(self, to: socket.socket, text: str) -> Mapping[str, Any]:
        to.sendall(f"{text}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            piece = to.recv(1 << 16)
            if not piece:
                raise ConnectionResetError("it has ended")
            answer += piece
        found: Mapping[str, Any] = json.loads(answer)
        return found


class Host(OwnProcess):
    """A broker that answers on this machine's own address, one thread per driver."""

    def __init__(self, place: Path) -> None:
        """Begin to answer. Raises RunDirError where another process does, or files cannot be written."""
        super().__init__()
        with disk_errors(place):
            place.mkdir(parents=True, mode=0o700, exist_ok=True)
        self._lock = WriterLock(place / LOCK)
        try:
            self._server = _Server(secrets.token_hex(16))
            _write(place / ADDRESS, Address(os.getpid(), self._server.port, self._server.key))
        except BaseException:
            self._lock.release()
            raise
        threading.Thread(target=self._server.serve_forever, name="broker", args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Answer no more, and let another process host."""
        self._server.shutdown()
        self.let_go()

    def let_go(self) -> None:
        self._server.server_close()
        self._server.hang_up()
        self._lock.let_go()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Driver)
        self.key = key
        self.port = int(self.server_address[1])
        self._broker = Broker(secrets.token_hex(4), time.monotonic())
        self._answering = threading.Lock()
        self.drivers: set[socket.socket] = set()

    def answer(self, said: Mapping[str, Any]) -> dict[str, Any]:
        with self._answering:
            return self._broker.answer(said, time.monotonic())

    def hang_up(self) -> None:
        for each in list(self.drivers):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A driver that hangs up in the midst of a word is gone: nothing to say of it."""


class _Driver(socketserver.StreamRequestHandler):
    """The connection of one driver; when it ends the driver has."""

    server: _Server

    def handle(self) -> None:
        if not compare_digest(self.rfile.readline(256).strip(), self.server.key.encode()):
            return
        self.server.drivers.add(self.connection)
        who: dict[str, Any] = {}
        try:
            for line in self.rfile:
                said = json.loads(line)
                standing = said.get("standing") or {}
                who = {"study": standing.get("study"), "session": standing.get("session")}
                self.wfile.write(json.dumps(self.server.answer(said)).encode() + b"\n")
        finally:
            self.server.drivers.discard(self.connection)
            if who.get("study"):
                self.server.answer({"call": "left", **who})


def _write(path: Path, address: Address) -> None:
    """Only this user may read the key; the file is whole at any moment."""
    fresh = path.with_name(f".{path.name}")
    with disk_errors(path):
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(address._asdict(), file)
        fresh.replace(path)
