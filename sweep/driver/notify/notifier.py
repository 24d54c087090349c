"""Tells people while a study runs: a thread for each channel, so that a slow one delays nothing else.

The driver says what happens, and the log holds what was told: the next session tells it no second time. A
new best is recorded before it is sent, as the end tells it too; an end once it has arrived, as a kill between
the two may tell it twice but must not lose it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from types import TracebackType
from typing import NamedTuple, Self

from runlog.records import Record
from sweep.driver.monitor.progress import StudyView
from sweep.driver.notify.channels import Channel, NotSentError
from sweep.driver.notify.deciding import Decider, Ending, Happened
from sweep.driver.notify.message import About, Message, Words
from sweep.driver.result import DriverResult
from sweep.spec.notify import Notify
from sweep.vocabulary.trial import Outcome, TrialState

POLL_S = 1.0
TRIES = 3
PAUSE_S = 2.0
"""Between two tries; the second pause is twice as long."""

LEAVE_S = 15.0
"""How long the end of a session waits for its last messages."""

INTERRUPTED_LEAVE_S = 1.0

SILENT_S = 1.0
"""Longer waits are said."""


class Told(NamedTuple):
    """A message, and where it goes."""

    to: str
    message: Message


class _Teller:
    """One channel and its thread."""

    def __init__(self, channel: Channel, decider: Decider, notifier: Notifier) -> None:
        self._channel = channel
        self._decider = decider
        self._notifier = notifier
        self._has_failed = False
        self._bests: SimpleQueue[Message] = SimpleQueue()
        self.to = channel.name
        self.thread = Thread(target=self._run, name=f"notify {self.to}", daemon=True)

    def _run(self) -> None:
        ending = self._notifier.ending
        while not ending.wait(POLL_S):
            self._tell_what_is_due()
        self._tell_what_is_due()

    def best(self, view: StudyView, now: float) -> Told | None:
        """The new best, where it is to be told now: by `take`, once it is recorded."""
        message = self._decider.best(view, now)
        return None if message is None else Told(self._channel.name, message)

    def take(self, message: Message) -> None:
        """Tell this next."""
        self._bests.put(message)

    def _tell_what_is_due(self) -> None:
        with suppress(Empty):
            while True:
                self._tell(self._bests.get_nowait())
        for message in self._notifier.due(self._decider):
            self._tell(message)

    def _tell(self, message: Message) -> None:
        """Deliver a message or drop it after some tries; that it failed is said once."""
        try:
            self._try(message)
        except Exception as error:  # whatever a channel does, the study continues
            if not self._has_failed:
                self._has_failed = True
                why = str(error) if isinstance(error, NotSentError) else type(error).__name__
                self._notifier.fail(f"notify: {self._channel.name} {why} (the study continues)")
        else:
            if message.event != "best":  # which was recorded before
                self._notifier.delivered(Told(self._channel.name, message))

    def _try(self, message: Message) -> None:
        for left in reversed(range(TRIES)):
            try:
                self._channel.send(message)
            except NotSentError as error:
                if not left or not error.again:
                    raise
                self._notifier.ending.wait(PAUSE_S * (TRIES - left))
            else:
                return


class Notifier:
    """What the driver says of a study, given to the deciders of its channels; nothing without channels.

    All but `due`, `fail` and `delivered` is called from the driver's thread, as are `record`, `say` and
    `note`, which is for what is of this moment alone.
    """

    def __init__(
        self,
        channels: Sequence[tuple[Notify, Channel]] = (),
        about: About | None = None,
        *,
        stop_after: int | None = None,
        told: Sequence[Record] = (),
        record: Callable[[str, Message], None] = lambda to, message: None,
        say: Callable[[str], None] = lambda text: None,
        note: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ending = Event()
        self._record = record
        self._say = say
        self._note = note
        self._clock = clock
        self._lock = Lock()
        self._happened = Happened(clock())
        self._told: list[Told] = []
        self._failed: list[str] = []
        self._is_interrupted = False
        self._tellers: list[_Teller] = []
        for notify, channel in channels:
            assert about is not None, "messages need the study that they are about"
            before = [each for each in told if each["to"] == channel.name]
            words = Words(about, notify.include)
            decider = Decider(notify, words, stop_after=stop_after, told=before)
            self._tellers.append(_Teller(channel, decider, self))

    # What the driver says

    def reported(self) -> None:
        """A trial has reported."""
        with self._lock:
            self._happened.report(self._clock())

    def ended(self, outcome: Outcome) -> None:
        """A trial has ended."""
        broke = outcome.state is TrialState.FAIL and not outcome.diverged
        reason = (outcome.reason or "").strip().partition("\n")[0] if broke else None
        with self._lock:
            self._happened.end(broke=broke, reason=reason, now=self._clock())

    def look(self, view: StudyView) -> None:
        """The study as it stands; what was told meanwhile is recorded."""
        with self._lock:
            self._happened.view = view
        for teller in self._tellers:
            if (told := teller.best(view, self._clock())) is not None:
                self._record(told.to, told.message)
                teller.take(told.message)
        self._settle()

    def end(self, view: StudyView, result: DriverResult, *, done: bool) -> None:
        """The session has ended in order; where the study stops for later there is nothing to tell."""
        with self._lock:
            self._happened.view = view
        self._is_interrupted = result.interrupted
        ending = None
        if result.gave_up is not None:
            in_a_row = self._happened.broken
            ending = Ending(f"{in_a_row} trials in a row failed.", self._happened.last_reason)
        elif done and not result.interrupted:
            ending = Ending()
        self._end(ending)

    # What tellers ask

    def due(self, decider: Decider) -> list[Message]:
        """What is to be told now."""
        with self._lock:
            return list(decider.due(self._happened, self._clock()))

    def delivered(self, told: Told) -> None:
        """A message has arrived."""
        with self._lock:
            self._told.append(told)

    def fail(self, text: str) -> None:
        """A channel does not deliver."""
        with self._lock:
            self._failed.append(text)

    # The session

    def __enter__(self) -> Self:
        for teller in self._tellers:
            teller.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._end(Ending("An error ended it.", str(error).partition("\n")[0]))
        else:
            self._is_interrupted |= error is not None
            self.ending.set()
        self._leave()
        self._settle()

    def _end(self, ending: Ending | None) -> None:
        with self._lock:
            self._happened.ending = ending
        self.ending.set()

    def _leave(self) -> None:
        """Wait for the last messages, not for long; Ctrl-C ends the waiting alone."""
        wait_s = INTERRUPTED_LEAVE_S if self._is_interrupted else LEAVE_S
        try:
            late = self._late(min(wait_s, SILENT_S))
            if late and wait_s > SILENT_S:
                self._note(
                    f"waiting up to {wait_s - SILENT_S:.0f} s for the last message to reach {late}. "
                    "All is recorded; Ctrl-C ends the waiting"
                )
                late = self._late(wait_s - SILENT_S)
        except KeyboardInterrupt:
            return
        if late:
            self.fail(f"notify: a message has not arrived in time, and is dropped: {late}")

    def _late(self, wait_s: float) -> str:
        """Those that have not told all after so long."""
        until = time.monotonic() + wait_s
        for teller in self._tellers:
            teller.thread.join(max(0.0, until - time.monotonic()))
        return ", ".join(teller.to for teller in self._tellers if teller.thread.is_alive())

    def _settle(self) -> None:
        with self._lock:
            told, failed = self._told, self._failed
            self._told, self._failed = [], []
        for each in told:
            self._record(each.to, each.message)
        for text in failed:
            self._say(text)
