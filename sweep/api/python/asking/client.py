"""A process that asks the owner of a study, in another process of this machine."""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from threading import Lock
from typing import Any, cast

from sweep.api.python.asking.desk import Handed, OwnerGone
from sweep.api.python.asking.serving import CLOSED, Address
from sweep.api.python.summary import Summary
from sweep.rundir.lock import OwnProcess
from sweep.vocabulary.trial import Report, Snapshot, TrialState

ANSWERS_WITHIN_S = 10
"""How long an owner may take to greet; one that is suspended never does."""


class Joined(OwnProcess):
    """An owner elsewhere. A call that is interrupted ends the connection: its answer would be another's."""

    def __init__(self, address: Address, who: str) -> None:
        """Connect. Raises OwnerGone."""
        super().__init__()
        self.pid = address.pid
        self._lock = Lock()
        try:
            self._connection = _connected(address)
            self._connection.send(who)
        except CLOSED as error:
            raise OwnerGone from error

    def ask(self, who: str, held: Collection[int]) -> Handed | None:
        return cast(Handed | None, self._call("ask", who, held))

    def claim(self, who: str, number: int) -> Handed | TrialState:
        return cast(Handed | TrialState, self._call("claim", who, number))

    def report(self, who: str, report: Report, snapshots: Sequence[Snapshot]) -> TrialState | None:
        return cast(TrialState | None, self._call("report", who, report, snapshots))

    def end(
        self,
        who: str,
        number: int,
        report: Report | None,
        failure: str | None,
        snapshots: Sequence[Snapshot],
    ) -> TrialState | None:
        return cast(TrialState | None, self._call("end", who, number, report, failure, snapshots))

    def rest(self, who: str, number: int, snapshots: Sequence[Snapshot]) -> None:
        self._call("rest", who, number, snapshots)

    def ended(self, number: int) -> TrialState | None:
        return cast(TrialState | None, self._call("ended", number))

    def summary(self) -> Summary:
        return cast(Summary, self._call("summary"))

    def leave(self, who: str) -> None:
        self._call("leave", who)

    def close(self) -> None:
        """End the connection."""
        self.let_go()

    def let_go(self) -> None:
        with suppress(OSError):
            self._connection.close()

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            try:
                self._connection.send((name, arguments))
                answer = self._connection.recv_bytes()
            except BaseException as error:
                self.let_go()
                if isinstance(error, CLOSED):
                    raise OwnerGone from error
                raise
        is_answer, value = pickle.loads(answer)
        if is_answer:
            return value
        raise value


def _connected(address: Address) -> Connection:
    """A connection to one that knows the key; one that does not answer is none."""
    with socket.create_connection(("127.0.0.1", address.port), timeout=ANSWERS_WITHIN_S) as plain:
        plain.settimeout(None)
        connection = Connection(os.dup(plain.fileno()))
        try:
            _limit(plain, ANSWERS_WITHIN_S)
            answer_challenge(connection, address.key)
            deliver_challenge(connection, address.key)
            _limit(plain, 0)
        except BaseException as error:
            connection.close()
            if isinstance(error, AssertionError):  # Python 3.11's word for a greeting that is none
                raise AuthenticationError("what answers is no owner of a study") from error
            raise
    return connection


def _limit(plain: socket.socket, seconds: int) -> None:
    """Have the system end a read after so long, 0 for never; a connection of Python's knows no time-out."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
