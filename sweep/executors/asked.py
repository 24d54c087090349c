"""Trials that a Python program asks for, trains itself and tells of (`sweep.Study`).

A slot is a seat for one trial that the program holds. A turn stays open until the program reports; a seat
without a trial answers at once.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.errors import SweepError
from sweep.executors.base import Assignment, Chunk, Executor, ExecutorEvent, Traits
from sweep.executors.cluster import Cluster
from sweep.vocabulary.trial import Report, RunId, Snapshot
from sweep.vocabulary.turn import (
    Load,
    Loss,
    RunFailure,
    SlotJoined,
    SlotLost,
    Spent,
    Turn,
    TurnDone,
    TurnResult,
)

MOST_SEATS = 10_000
"""More trials than a program holds at once."""

CHUNK_BYTES = 1 << 22
"""How much of a checkpoint is passed on at once."""


@dataclass
class Seat:
    """A slot: its trial, the turns given to it, and when its trial last said something."""

    slot: str
    load: Load | None = None
    turns: deque[Turn] = field(default_factory=deque)
    since: float = 0.0


class AskedExecutor:
    """Carries out turns by what a program says of its trials; `wait` returns at once."""

    slots = MOST_SEATS

    def __init__(self) -> None:
        self.host = socket.gethostname()
        self._seats: dict[str, Seat] = {}
        self._joined = 0
        self._events: list[ExecutorEvent] = []
        self._closing = False
        self._arriving: deque[tuple[str, Snapshot, int]] = deque()

    def start(self) -> None: ...

    def submit(self, slot: str, turn: Turn) -> None:
        seat = self._seats.get(slot)
        if seat is not None:
            seat.turns.append(turn)
            if seat.load is not None and seat.load.run in turn.ends:
                self._end(seat, seat.load.run)
            self._open(seat)

    def gather(self, slot: str, snapshot: Snapshot) -> None:
        self._arriving.append((slot, snapshot, 0))

    def discard(self, slot: str, snapshot: Snapshot) -> None:
        Path(snapshot.path).unlink(missing_ok=True)

    def replace(self, slot: str, reason: str) -> None:
        self._seats.pop(slot, None)

    def cut_short(self) -> None: ...

    def wait(self, timeout_s: float) -> list[ExecutorEvent]:
        events, self._events = self._events, []
        return [*events, self._chunk()] if self._arriving else events

    def close(self) -> None: ...

    def _chunk(self) -> Chunk:
        """The next piece of a checkpoint; its file goes with the last one, which is empty."""
        slot, snapshot, offset = self._arriving.popleft()
        try:
            with Path(snapshot.path).open("rb") as file:
                file.seek(offset)
                data = file.read(CHUNK_BYTES)
        except OSError:  # it ends here, and is found to be too short
            data = b""
        if data:
            self._arriving.appendleft((slot, snapshot, offset + len(data)))
        else:
            Path(snapshot.path).unlink(missing_ok=True)
        return Chunk(slot, snapshot, data)

    # The program's side

    @property
    def has_news(self) -> bool:
        """Whether something has happened that was not waited for yet."""
        return bool(self._events or self._arriving)

    def seat(self) -> None:
        """See that one seat is free."""
        if all(seat.load is not None for seat in self._seats.values()):
            self._joined += 1
            slot = f"asked-{self._joined}"
            self._seats[slot] = Seat(slot)
            self._events.append(SlotJoined(slot, self.host, "", round_trip_s=0.0))

    def loads(self) -> list[Load]:
        """The trials on all seats."""
        return [seat.load for seat in self._seats.values() if seat.load is not None]

    def answer(
        self,
        run: RunId,
        report: Report | None = None,
        *,
        snapshots: Sequence[Snapshot] = (),
        ends: bool = False,
        failure: str | None = None,
    ) -> None:
        """A trial has reported, saved, or ended: the turn that it is in is done."""
        seat = next(seat for seat in self._seats.values() if seat.load is not None and seat.load.run == run)
        now = time.monotonic()
        spent, seat.since = Spent(train_s=now - seat.since), now
        failures = () if failure is None else (RunFailure(run, failure),)
        if ends or failures:
            seat.load = None
        result = TurnResult(
            seat.turns[0].number,
            reports=() if report is None else (report,),
            finished=(run,) if ends and not failures else (),
            failures=failures,
            snapshots=tuple(snapshots),
            spent={run: spent},
            turn_s=spent.train_s,
        )
        self._done(seat, result)

    def release(self, run: RunId) -> None:
        """A trial has ended otherwise: its seat is free."""
        for seat in self._seats.values():
            if seat.load is not None and seat.load.run == run:
                seat.load = None
                self._open(seat)

    def lose(self, run: RunId, loss: Loss, reason: str) -> None:
        """The process that held a trial holds it no longer: the seat goes with it."""
        for seat in list(self._seats.values()):
            if seat.load is not None and seat.load.run == run:
                del self._seats[seat.slot]
                self._events.append(SlotLost(seat.slot, loss, reason))

    def let_go(self) -> None:
        """No trial says anything more: all turns are done, those to come as well."""
        self._closing = True
        for seat in self._seats.values():
            self._open(seat)

    def _open(self, seat: Seat) -> None:
        """Load what the next turn brings; it is done at once where there is nothing to train."""
        while seat.turns:
            turn = seat.turns[0]
            if turn.drops or turn.loads:
                seat.load = None
            for load in turn.loads:
                seat.load, seat.since = load, time.monotonic()
            if seat.load is not None and turn.advance and not self._closing:
                return
            self._events.append(TurnDone(seat.slot, TurnResult(seat.turns.popleft().number)))

    def _end(self, seat: Seat, run: RunId) -> None:
        """End a trial where it reported last: no further report is waited for."""
        seat.load = None
        *before, last = seat.turns
        seat.turns.clear()
        self._events += [TurnDone(seat.slot, TurnResult(turn.number)) for turn in before]
        self._events.append(TurnDone(seat.slot, TurnResult(last.number, finished=(run,))))

    def _done(self, seat: Seat, result: TurnResult) -> None:
        seat.turns.popleft()
        self._events.append(TurnDone(seat.slot, result))
        self._open(seat)


class AskedFactory:
    """Trials belong to the program that asked for them: no command can train them."""

    traits = Traits(in_process=True, by_program=True)

    def prepare(self, cluster: Cluster | None) -> None:
        """Refuse: what trains these trials is a program of its own. Raises SweepError."""
        raise SweepError(
            "the trials of this study are asked for by a Python program. "
            "Run that program again: its sweep.Study(...) resumes the study"
        )

    def make(self, assignment: Assignment) -> Executor:
        return AskedExecutor()
