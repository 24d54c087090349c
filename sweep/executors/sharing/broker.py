"""Who has which slots: what drivers say becomes what each may hold. No clock, no transport.

Its state may be lost at any moment. Drivers say all that it must know again and again; one that begins with
no state gives nothing out until each has had the time to.

A slot is given to a study only once no other can have it. A driver acts on an answer between two messages, so
what it was last allowed counts as taken until it says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.executors.sharing.messages import Answer, BrokerError, Queued, Standing
from sweep.executors.sharing.policy import Claim, allot

SAY_EVERY_S = 0.5
"""How often a driver says how it stands."""

LEASE_S = 15.0
"""How long what a driver holds stays its own while it says nothing."""

NEW_S = 5.0
"""How long a broker without a state listens before it gives slots out."""


@dataclass
class _Known:
    """A study, when it was last heard of, and the most slots that it may have by node."""

    standing: Standing
    heard: float
    since: float
    may: dict[str, int]


class Broker:
    """Answers drivers; `now` is in seconds on one clock that never goes backwards."""

    def __init__(self, id: str, now: float) -> None:
        self._id = id
        self._began = now
        self._studies: dict[str, _Known] = {}

    def heard(self, standing: Standing, now: float) -> Answer:
        """A driver says how it stands; how many slots of each node it may hold from here on."""
        self._forget_the_silent(now)
        before = self._studies.get(standing.study)
        since = before.since if before is not None else now - standing.age_s
        known = _Known(standing, now, since, dict(standing.held))
        self._studies[standing.study] = known
        shares = self._shares()
        known.may = self._allowed(known, shares[standing.study], now)
        queue = self._queue(shares, now)
        return Answer(self._id, known.may, self._slots().total(), queue, self._is_new(now))

    def left(self, study: str, session: str) -> None:
        """A driver has ended, and all its workers with it."""
        known = self._studies.get(study)
        if known is not None and known.standing.session == session:
            del self._studies[study]

    def queue(self, now: float) -> tuple[Queued, ...]:
        """Each study with what it has and what is its share, the first in rank first."""
        self._forget_the_silent(now)
        return self._queue(self._shares(), now)

    def _queue(self, shares: Mapping[str, Mapping[str, int]], now: float) -> tuple[Queued, ...]:
        ranked = sorted(self._studies.values(), key=lambda known: _claim(known).rank)
        return tuple(
            _queued(known, sum(shares[known.standing.study].values()), now - known.since) for known in ranked
        )

    def answer(self, said: Mapping[str, Any], now: float) -> dict[str, Any]:
        """The same with plain values both ways; a reason in `error` where what is said makes no sense."""
        try:
            match said.get("call"):
                case "say":
                    return self.heard(Standing.of_plain(said["standing"]), now).as_plain()
                case "left":
                    self.left(str(said["study"]), str(said["session"]))
            return Answer(self._id, {}, self._slots().total(), self.queue(now), self._is_new(now)).as_plain()
        except (BrokerError, KeyError, TypeError) as error:
            return {"error": str(error)}

    def _is_new(self, now: float) -> bool:
        return now - self._began < NEW_S

    def _forget_the_silent(self, now: float) -> None:
        silent = [study for study, known in self._studies.items() if now - known.heard > LEASE_S]
        for study in silent:
            del self._studies[study]

    def _slots(self) -> Counter[str]:
        """The slots of each node, as the driver says that sees most."""
        found: Counter[str] = Counter()
        for known in self._studies.values():
            found |= Counter(known.standing.nodes)
        return found

    def _shares(self) -> dict[str, dict[str, int]]:
        return allot(self._slots(), [_claim(known) for known in self._studies.values()])

    def _taken_by(self, known: _Known) -> Counter[str]:
        """The most slots that a study may have now: it may have acted on its last answer, or not yet."""
        return Counter(known.may) | Counter(known.standing.held)

    def _allowed(self, known: _Known, share: Mapping[str, int], now: float) -> dict[str, int]:
        """Its share, as far as it has it or no other study may have it."""
        held = Counter(known.standing.held)
        if self._is_new(now):
            return dict(held)
        taken: Counter[str] = Counter()
        for other in self._studies.values():
            if other is not known:
                taken.update(self._taken_by(other))
        slots = self._slots()
        free = {node: max(0, slots[node] - taken[node] - held[node]) for node in share}
        may = {node: min(count, held[node] + free[node]) for node, count in share.items()}
        return {node: count for node, count in may.items() if count}


def _claim(known: _Known) -> Claim:
    standing, share = known.standing, known.standing.share
    return Claim(
        standing.study,
        frozenset(standing.nodes),
        wants=standing.wants,
        held=Counter(standing.held) - Counter(standing.gives),
        idle=standing.idle,
        priority=share.priority,
        weight=share.weight,
        max_slots=share.max_slots,
        since=known.since,
    )


def _queued(known: _Known, share: int, age_s: float) -> Queued:
    standing = known.standing
    held = sum(standing.held.values())
    return Queued(
        standing.study,
        standing.name,
        standing.user,
        standing.host,
        standing.share.priority,
        standing.share.weight,
        held=held,
        share=share,
        gives=sum(standing.gives.values()),
        wants=standing.wants,
        age_s=age_s,
        ends_in_s=standing.ends_in_s,
    )
