"""An owner's answers to other processes of this machine: one thread per connection.

Where to connect, and the key that both sides must know, stand in a file that only the same user can read.
"""

from __future__ import annotations

import json
import os
import pickle
import secrets
import socket
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import NamedTuple, Protocol

from sweep.api.python.asking.desk import Desk, OwnerGone
from sweep.errors import SweepError
from sweep.rundir.disk import disk_errors
from sweep.rundir.lock import OwnProcess

FILE = "owner.json"

CALLS = frozenset(("ask", "claim", "report", "end", "rest", "ended", "summary", "leave"))
"""What another process may call."""

BACKLOG = 64
"""How many processes may connect at once."""

PAUSE_S = 0.05
"""After a connection that could not be taken."""

CLOSED = (EOFError, OSError, AuthenticationError)


class Address(NamedTuple):
    """Where an owner answers."""

    pid: int
    port: int
    key: bytes
    version: str
    """Of this project: what is said is pickled."""


class Served(Desk, Protocol):
    """An owner that other processes may ask; it hears who comes and goes."""

    def join(self, who: str) -> None: ...

    def hung_up(self, who: str) -> None: ...


class Server(OwnProcess):
    """Answers for an owner until it is closed; `hang_up` ends the connections that there are."""

    def __init__(self, owner: Served, folder: Path) -> None:
        super().__init__()
        self._owner = owner
        self._path = folder / FILE
        self._key = secrets.token_bytes(32)
        self._connections: set[Connection] = set()
        self._closing = False
        with disk_errors(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._listener = Listener(("127.0.0.1", 0), backlog=BACKLOG)
        self._place: tuple[str, int] = self._listener.address
        _write(self._path, Address(os.getpid(), self._place[1], self._key, own_version()))
        threading.Thread(target=self._accept, name="sweep serves", daemon=True).start()

    def close(self) -> None:
        """Take no further connection."""
        self._path.unlink(missing_ok=True)
        self._closing = True
        with suppress(OSError):  # closing alone does not wake a thread that waits for a connection
            socket.create_connection(self._place, timeout=1.0).close()

    def hang_up(self) -> None:
        """End all connections: who is there hears that the owner is gone."""
        for connection in list(self._connections):
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        for close in (self._listener.close, *(each.close for each in self._connections)):
            with suppress(OSError):
                close()

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    connection = self._listener.accept()
                except OSError:  # it has hung up already, or too many files are open here
                    time.sleep(PAUSE_S)
                    continue
                if self._closing:
                    connection.close()
                    return
                self._connections.add(connection)
                threading.Thread(
                    target=self._serve, args=(connection,), name="sweep serves", daemon=True
                ).start()

    def _serve(self, connection: Connection) -> None:
        who = None
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            who = str(connection.recv())
            self._owner.join(who)
            while True:
                connection.send_bytes(self._answer(connection.recv_bytes()))
        except (*CLOSED, OwnerGone):
            pass
        finally:
            self._connections.discard(connection)
            connection.close()
            if who is not None:
                with suppress(SweepError):  # the next call meets it as well, and says it
                    self._owner.hung_up(who)

    def _answer(self, call: bytes) -> bytes:
        """What a call gives or raises, pickled as the call is."""
        try:
            name, arguments = pickle.loads(call)
            if name not in CALLS:
                raise SweepError(f"an owner knows no {name}")
            return pickle.dumps((True, getattr(self._owner, name)(*arguments)))
        except OwnerGone:
            raise
        except SweepError as error:
            return pickle.dumps((False, error))
        except Exception as error:
            said = f"the process {os.getpid()}, which owns the study, failed: {type(error).__name__}: {error}"
            return pickle.dumps((False, SweepError(said)))


def own_version() -> str:
    """The version of this project, here."""
    return version("sweep-mlx")


def address_in(folder: Path) -> Address | None:
    """Where the last owner answers, or answered; None where none has."""
    try:
        found = json.loads((folder / FILE).read_text("ascii"))
        return Address(
            int(found["pid"]), int(found["port"]), bytes.fromhex(found["key"]), str(found.get("version", ""))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, address: Address) -> None:
    """Only this user may read the key; the file is whole at any moment."""
    text = json.dumps({**address._asdict(), "key": address.key.hex()})
    fresh = path.with_name(f".{path.name}")
    with disk_errors(path):
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
