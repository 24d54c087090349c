"""A driver's side of the broker: what it holds, what it may hold, and what to say of that.

A thread of its own asks the broker, so that no wait for it holds up the driver. Without a broker a study
keeps what it has for a while, and then trains on all that it finds, as if there were no other.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any, Protocol

from sweep.executors.sharing.broker import SAY_EVERY_S
from sweep.executors.sharing.messages import Answer, BrokerError, Share, Standing, waits_for

FIRST_ANSWER_S = 15.0
"""How long a study waits for the first answer of all: a cluster's broker has to be started."""

ALONE_AFTER_S = 30.0
"""How long a broker may not answer before a study trains as if there were none."""

ENDS_WITHIN_S = 6.0
"""How long an answer may still be awaited at the end."""

SAY_WAITING_EVERY_S = 60.0
"""How often a study that waits says so where nothing has changed."""


class Line(Protocol):
    """The way to the broker."""

    def call(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its answer. Raises BrokerError."""

    def close(self) -> None: ...


class Seat:
    """The slots of one study in one session. All but `begin`, `end` and `leave` return at once.

    No slot is taken while an answer is awaited: what the broker was told must hold until it has answered.
    """

    def __init__(
        self, standing: Standing, line: Line, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._standing = standing
        self._line = line
        self._clock = clock
        self._began = self._answered = clock()
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._gives: Counter[str] = Counter()
        self._awaits = False
        self._answer: Answer | None = None
        self._notes: list[str] = []
        self._said: dict[str, tuple[str, float]] = {}
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="slots of the study", daemon=True)

    @property
    def share(self) -> Share:
        """What the study asks for."""
        return self._standing.share

    def begin(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=ENDS_WITHIN_S)

    def leave(self) -> None:
        """All slots are given back: the workers are gone. Called last.

        Where the thread still awaits an answer nothing is said: to wait for it would hold up the end.
        """
        if not self._thread.is_alive():
            with suppress(BrokerError):
                self._line.call(
                    {"call": "left", "study": self._standing.study, "session": self._standing.session}
                )
        self._line.close()

    # What the driver knows

    def see(self, nodes: Mapping[str, int]) -> None:
        """The nodes that the study may use, with their slots."""
        with self._lock:
            if nodes != self._standing.nodes:
                self._standing = replace(self._standing, nodes=dict(nodes))
                self._wake.set()

    def want(self, slots: float, ends_in_s: float | None, idle: Mapping[str, int]) -> None:
        """How many slots the study has work for, and in how many seconds it ends, as far as that is known.

        Of each node so many do nothing.
        """
        with self._lock:
            if (slots > 0) != (self._standing.wants > 0):
                self._wake.set()
            self._standing = replace(self._standing, wants=slots, ends_in_s=ends_in_s, idle=idle)

    def ask_for(self, share: Share) -> None:
        """The study has another share."""
        with self._lock:
            self._standing = replace(self._standing, share=share)
            self._wake.set()

    # Slots

    def take(self, node: str) -> bool:
        """Take a slot of the node, if the study may have one more there now."""
        with self._lock:
            allowed = self._allowed(node)
            if self._held[node] >= allowed or (self._awaits and allowed < inf):
                return False
            self._held[node] += 1
            return True

    def give(self, node: str) -> None:
        """A slot of the node is about to be given back."""
        with self._lock:
            self._gives[node] += 1

    def gone(self, node: str, *, given: bool = False) -> None:
        """The study has one slot less on the node; `given` where it was about to give that back."""
        with self._lock:
            self._held[node] -= 1
            self._gives[node] -= given
            self._wake.set()

    def has_room(self, node: str) -> bool:
        """Whether the study may have one more slot of the node."""
        with self._lock:
            return self._held[node] < self._allowed(node)

    def too_many(self, node: str) -> int:
        """How many more slots of the node the study must give back."""
        with self._lock:
            left = self._held[node] - self._gives[node] - self._allowed(node)
            return int(max(0, left)) if left < inf else 0

    def notes(self) -> list[str]:
        """What to tell people, once each."""
        with self._lock:
            notes, self._notes = self._notes, []
            return notes

    def reason(self) -> str:
        """Why slots are given back."""
        with self._lock:
            queue = () if self._answer is None else self._answer.queue
            others = [
                each.whose for each in queue if each.study != self._standing.study and each.held < each.share
            ]
            return f"for {', '.join(others)}" if others else "it is not needed"

    def _allowed(self, node: str) -> float:
        if self._is_alone:
            return inf
        return 0 if self._answer is None else self._answer.may.get(node, 0)

    @property
    def _is_alone(self) -> bool:
        """Whether no broker has answered for too long."""
        patience_s = FIRST_ANSWER_S if self._answer is None else ALONE_AFTER_S
        return self._clock() - self._answered >= patience_s

    # The thread

    def _ask(self) -> None:
        while not self._ended.is_set():
            self.exchange()
            self._wake.wait(SAY_EVERY_S)
            self._wake.clear()

    def exchange(self) -> None:
        """Say how the study stands, and enter the answer."""
        with self._lock:
            self._awaits = True
            standing = replace(
                self._standing,
                held=dict(+self._held),
                gives=dict(+self._gives),
                age_s=self._clock() - self._began,
            )
        try:
            said = self._line.call({"call": "say", "standing": standing.as_plain()})
            answer = Answer.of_plain(said)
        except BrokerError as error:
            with self._lock:
                self._awaits = False
                self._not_answered(str(error))
            return
        with self._lock:
            self._awaits = False
            self._answer, self._answered = answer, self._clock()
            self._said.pop("gone", None)
            self._tell(answer)

    def _not_answered(self, reason: str) -> None:
        if self._is_alone:
            self._note("gone", f"slots are not shared, the study trains where it can: {reason}")

    def _tell(self, answer: Answer) -> None:
        most = self._standing.share.max_slots
        if most is not None and answer.slots and most > answer.slots and not answer.new:
            self._note("most", f"cluster_share.max_slots is {most}, and there are {answer.slots} slots")
        waits = waits_for(answer, self._standing.study)
        if waits is None:
            if self._said.pop("waits", None) is not None:
                self._notes.append(
                    f"{self._standing.name}: has {sum(answer.may.values())} of {answer.slots} slots"
                )
        elif not answer.new:
            self._note("waits", f"{self._standing.name}: {waits}", again_s=SAY_WAITING_EVERY_S)

    def _note(self, kind: str, text: str, *, again_s: float = inf) -> None:
        before, at = self._said.get(kind, ("", -inf))
        now = self._clock()
        if (text != before and (not before or now - at >= 5.0)) or now - at >= again_s:
            self._said[kind] = (text, now)
            self._notes.append(text)
